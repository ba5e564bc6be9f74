import concurrent.futures


def square(x):
    return x * x


def main(params, context):
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return list(pool.map(square, params))
