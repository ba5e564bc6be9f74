import multiprocessing


def main(params, context):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(abs, params)
