import common_parts.piece


def main(params, context):
    return [common_parts.piece.OF, common_parts.piece.__name__]
