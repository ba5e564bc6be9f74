# {"pools": "exclusive shared", "function": "__main__", "params": [], "want": {"stdout": "loaded as __main__\nloaded as imports_itself\nFalse 1\n"}}
"""A script that imports itself by its name is loaded twice: these are two modules."""

import sys

print("loaded as", __name__)
count = 0

if __name__ == "__main__":
    import imports_itself
    imports_itself.count += 1
    print(imports_itself is sys.modules["__main__"], imports_itself.count + count)
