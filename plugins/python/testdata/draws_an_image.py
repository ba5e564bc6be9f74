import io

from PIL import Image, ImageDraw


def main(params, context):
    image = Image.new("RGB", (64, 64))
    ImageDraw.Draw(image).ellipse((8, 8, 56, 56), fill=(255, 0, 0))
    data = io.BytesIO()
    image.save(data, "PNG")
    return Image.open(io.BytesIO(data.getvalue())).getpixel((32, 32))
