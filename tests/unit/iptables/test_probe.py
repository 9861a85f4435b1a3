"""The self-test against real sockets, on a host without rules and with connections made up."""

from __future__ import annotations

import socket

import pytest

from iptables import probe
from iptables.probe import captured, original_destination
from iptables.rules.rule import Family


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_nobody_listens() -> None:
    said = probe.probe(Family.V4, free_port(), free_port(), 1.0)
    assert said.startswith("IPv4: the connection to 127.0.0.6 port ")
    assert "was not captured: Connection refused" in said


def test_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = probe.probe(Family.V4, server.getsockname()[1], free_port(), 1.0)
    assert "can't listen on port" in said


def test_somebody_else_answers() -> None:
    """The connection is made, to whoever really listens there, and the sidecar hears nothing."""
    with socket.create_server(("127.0.0.6", 0)) as other:
        said = probe.probe(Family.V4, free_port(), other.getsockname()[1], 0.05)
    assert said.endswith("was made, and did not arrive at the inbound port.")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("127.0.0.6", 15002), ""),
        (None, "arrived without its original destination."),
        (("127.0.0.1", 15006), "arrived as one to 127.0.0.1 port 15006."),
    ],
)
def test_what_arrives_is_compared(
    found: tuple[str, int] | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "original_destination", lambda connection: found)
    with socket.create_server(("127.0.0.6", 0)) as server:
        port = server.getsockname()[1]
        result = captured(Family.V4, 15002, 1.0, lambda: server.accept()[0])
        assert "port 15002 was not captured" in result  # nothing listens there
        if found == ("127.0.0.6", 15002):
            monkeypatch.setattr(probe, "original_destination", lambda _: ("127.0.0.6", port))
        result = captured(Family.V4, port, 1.0, lambda: server.accept()[0])
    assert result.endswith(said)
    assert bool(result) == bool(said)


# sockaddr_in and sockaddr_in6, ports and addresses in network order.
V4 = b"\x02\x00" + (8080).to_bytes(2) + bytes([10, 0, 0, 7]) + bytes(8)
V6 = b"\x0a\x00" + (443).to_bytes(2) + bytes(4) + bytes(15) + b"\x06" + bytes(4)


class FakeSocket:
    """What the kernel gives for a redirected connection: a sockaddr."""

    def __init__(self, family: int, raw: bytes | None) -> None:
        self.family = family
        self._raw = raw

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert option == 80
        if self._raw is None:
            raise FileNotFoundError
        return self._raw[:size]


@pytest.mark.parametrize(
    ("family", "raw", "found"),
    [
        (socket.AF_INET, V4, ("10.0.0.7", 8080)),
        (socket.AF_INET6, V6, ("::6", 443)),
        (socket.AF_INET, None, None),
        (socket.AF_INET6, None, None),
    ],
)
def test_original_destination(
    family: int, raw: bytes | None, found: tuple[str, int] | None
) -> None:
    assert original_destination(FakeSocket(family, raw)) == found  # type: ignore[arg-type]
