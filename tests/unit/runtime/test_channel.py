"""Messages between processes, whole and in order, with descriptors."""

from __future__ import annotations

import asyncio
import os
import socket

from meshproxy.runtime.channel import Channel, Kind


async def _exchange() -> tuple[list[tuple[Kind, bytes, int]], str]:
    loop = asyncio.get_running_loop()
    one, two = socket.socketpair()
    got: list[tuple[Kind, bytes, int]] = []
    text, done, closed = "", asyncio.Event(), asyncio.Event()

    def hear(kind: Kind, body: bytes, fds: list[int]) -> None:
        nonlocal text
        got.append((kind, body, len(fds)))
        for fd in fds:
            text += os.read(fd, 100).decode()
            os.close(fd)
        if kind is Kind.STOP:
            done.set()

    sender = Channel(loop, one, lambda *args: None, lambda: None)
    Channel(loop, two, hear, closed.set)
    readable, writable = os.pipe()
    os.write(writable, b"through a descriptor")
    sender.send(Kind.PARTS, b"x" * 3_000_000)
    sender.send(Kind.LISTEN, b"name", (readable,))
    for number in range(100):
        sender.send(Kind.COMMIT, b"%d" % number)
    sender.send(Kind.STOP)
    await asyncio.wait_for(done.wait(), 10)
    sender.close()
    sender.send(Kind.STOP)
    await asyncio.wait_for(closed.wait(), 10)
    os.close(readable)
    os.close(writable)
    return got, text


def test_messages() -> None:
    got, text = asyncio.run(_exchange())
    assert [kind for kind, _, _ in got] == [
        Kind.PARTS,
        Kind.LISTEN,
        *[Kind.COMMIT] * 100,
        Kind.STOP,
    ]
    assert len(got[0][1]) == 3_000_000
    assert got[1][1:] == (b"name", 1)
    assert [body for _, body, _ in got[2:-1]] == [b"%d" % number for number in range(100)]
    assert text == "through a descriptor"
