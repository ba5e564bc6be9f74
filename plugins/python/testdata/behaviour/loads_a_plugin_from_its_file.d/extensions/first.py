def where():
    import position
    return position.PLACE
