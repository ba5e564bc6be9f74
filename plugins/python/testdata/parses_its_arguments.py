import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--count", type=int, default=1)
print(parser.parse_args().count * 2)
