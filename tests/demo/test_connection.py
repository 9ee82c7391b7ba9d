"""Connections to the demo's server are limited in number and in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from common.demo import connection
from common.demo.address import listen
from common.demo.connection import server

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PATIENCE = 60.0


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body() or b"empty")


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[int]:
    """The port of a server that returns the body of a request."""
    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    with listen("127.0.0.1", 0) as listening:
        served = server(app)
        task = asyncio.create_task(served.serve(sockets=[listening]))
        try:
            while not served.started:
                await asyncio.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            served.should_exit = True
            await task


class Client:
    """A connection that may be left open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def answer(self, request: bytes) -> bytes:
        """The first line of the response; nothing if the server closes the connection."""
        self.writer.write(request)
        try:
            return await asyncio.wait_for(self.reader.readline(), PATIENCE)
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_end_is_closed(request_: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with running() as port:
            first = await Client.connect(port)
            assert b"200" in await first.answer(GET)
            monkeypatch.setattr(connection, "EXCHANGE_SECONDS", 0.1)
            slow = await Client.connect(port)
            assert await slow.answer(request_) == b""

    asyncio.run(go())


def test_no_more_connections_than_the_limit_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 2)

    async def go() -> None:
        async with running() as port:
            first, second, third = [await Client.connect(port) for _ in range(3)]
            assert b"200" in await first.answer(GET)
            assert b"200" in await second.answer(GET)
            assert await third.answer(GET) == b""
            first.writer.close()
            async with asyncio.timeout(PATIENCE):
                while b"200" not in await (await Client.connect(port)).answer(GET):
                    await asyncio.sleep(0.05)

    asyncio.run(go())
