"""Connections that another worker has accepted."""

from __future__ import annotations

import asyncio
import socket

from meshproxy.listen.acceptor import Acceptor
from tests.support.models import outbound
from tests.support.path import DataPath


async def adopted(known: bool, closed_meanwhile: bool) -> bytes:
    """What the client of a connection to listener ``out`` sees. Nobody knows its address, so that
    it is closed as soon as it is looked at."""
    loop = asyncio.get_running_loop()
    acceptor = Acceptor(loop, DataPath(outbound()).serving)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    arrived = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening, theirs:
        listening.setblocking(False)
        if known:
            acceptor.add("out", "", [listening])
            acceptor.open_waiting()
        acceptor.adopt("out", ours, arrived.set)
        if closed_meanwhile:
            acceptor.remove("out")
        async with asyncio.timeout(20):
            await arrived.wait()
        theirs.settimeout(20)
        seen = await loop.run_in_executor(None, theirs.recv, 1)
        await asyncio.sleep(0)
        acceptor.stop()
        return seen


def test_they_are_served() -> None:
    assert asyncio.run(adopted(known=True, closed_meanwhile=False)) == b""


def test_also_when_the_listener_is_closed_at_that_moment() -> None:
    assert asyncio.run(adopted(known=True, closed_meanwhile=True)) == b""


def test_a_listener_that_is_not_there_any_more_has_none() -> None:
    assert asyncio.run(adopted(known=False, closed_meanwhile=False)) == b""
