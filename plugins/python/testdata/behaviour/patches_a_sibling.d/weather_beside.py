def today():
    return "rainy"
