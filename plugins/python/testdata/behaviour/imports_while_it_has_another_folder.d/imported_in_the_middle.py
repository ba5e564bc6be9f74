import sys

LIMIT = sys.getrecursionlimit() // 1000
