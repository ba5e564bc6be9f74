from common_parts import piece


def main(params, context):
    return [piece.OF]
