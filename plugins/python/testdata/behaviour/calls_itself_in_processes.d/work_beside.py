def tell(n):
    return "beside %d" % n
