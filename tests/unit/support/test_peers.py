"""What the tests' own end of a connection says of how the other end closed."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import pytest

from tests.support.peers import LOCAL, PATIENCE, Peer


@pytest.mark.parametrize(
    ("close", "writes", "ending"),
    [
        pytest.param(Peer.close, False, "end", id="FIN"),
        pytest.param(Peer.reset, False, "reset", id="RST, met by a read"),
        pytest.param(Peer.reset, True, "reset", id="RST, met by a write"),
    ],
)
def test_how_it_ended(close: Callable[[Peer], None], writes: bool, ending: str) -> None:
    """The kernel tells of a reset once, to the next read or write, whichever comes first."""
    with (
        socket.create_server((LOCAL, 0)) as listener,
        Peer.connect(listener.getsockname()[1]) as client,
    ):
        close(Peer(listener.accept()[0]))
        poll = select.poll()
        poll.register(client.sock, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), "the close arrives"
        if writes:
            assert not client.send_quietly(b"x")
        assert client.ending() == ending
