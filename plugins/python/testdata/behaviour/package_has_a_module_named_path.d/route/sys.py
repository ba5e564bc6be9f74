def show(length):
    return "%d km" % length
