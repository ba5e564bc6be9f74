import nests


async def main(params, context):
    return nests.main(params, context)
