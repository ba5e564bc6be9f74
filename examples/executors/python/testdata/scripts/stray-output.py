import os

line = b"x" * 1_000_000 + b"\n"
for descriptor in 1, 2:
    rest = line
    while rest:
        rest = rest[os.write(descriptor, rest):]
len(line)
