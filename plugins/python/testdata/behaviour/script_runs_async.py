# {"pools": "exclusive shared", "function": "__main__", "params": [], "times": 2, "want": {"stdout": "begin\n['a', 'b']\nend True\n"}}
"""asyncio.run, gather and a debug flag that is off."""

import asyncio


async def give(x):
    await asyncio.sleep(0)
    return x


async def main():
    print("begin")
    print(await asyncio.gather(give("a"), give("b")))
    return not asyncio.get_running_loop().get_debug()


print("end", asyncio.run(main()))
