"""Count the primes below a limit with a sieve (CPU).

params: {"limit": 1000000}
"""

from math import isqrt


def main(params, context):
    """Return how many primes there are below limit, and the largest."""
    limit = params["limit"]
    if limit < 3:
        return {"limit": limit, "primes": 0, "largest": None}
    sieve = bytearray([1]) * limit
    sieve[0] = sieve[1] = 0
    for number in range(2, isqrt(limit - 1) + 1):
        if sieve[number]:
            multiples = range(number * number, limit, number)
            sieve[number * number::number] = bytes(len(multiples))
    return {"limit": limit, "primes": sieve.count(1), "largest": sieve.rindex(1)}
