raise ValueError("as asked")
