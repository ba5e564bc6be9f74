# {"pools": "exclusive shared", "needs": "aiohttp", "times": 2, "want": {"data": [[200, "HELLO 0"], [200, "HELLO 1"]]}, "keeps": "warnings meta_path environ environ_of_c builtins"}
"""aiohttp: a server and a client on the task's loop."""

import asyncio

import aiohttp
from aiohttp import web


async def shout(request):
    return web.Response(text=(await request.text()).upper())


async def ask(session, url, n):
    async with session.post(url, data="hello %d" % n) as answer:
        return [answer.status, await answer.text()]


async def main(params, context):
    application = web.Application()
    application.router.add_post("/", shout)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://127.0.0.1:%d/" % runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(*(ask(session, url, n) for n in range(2)))
    await runner.cleanup()
    return answers
