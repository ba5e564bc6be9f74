from lxml import etree


def main(params, context):
    root = etree.fromstring("<r>" + "".join("<n>%d</n>" % i for i in range(params)) + "</r>")
    return root.xpath("sum(//n)")
