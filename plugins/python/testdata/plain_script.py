import sys

import helper_of_plain

if __name__ == "__main__":
    print(sys.argv[1:], helper_of_plain.NAME, __name__, __file__ == sys.argv[0])
    if len(sys.argv) > 1:
        sys.exit(int(sys.argv[1]) if sys.argv[1].isdigit() else sys.argv[1])
