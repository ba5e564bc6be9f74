import numpy


def main(params, context):
    rng = numpy.random.default_rng(params)
    a = rng.random((120, 120))
    inverse = numpy.linalg.inv(a)
    return bool(numpy.allclose(a @ inverse, numpy.eye(120)) and numpy.sort(a.ravel())[0] >= 0)
