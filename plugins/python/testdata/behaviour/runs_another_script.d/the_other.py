import numbers_beside

print("the other one")
NAME = __name__
RESULT = numbers_beside.SEVEN * 3
