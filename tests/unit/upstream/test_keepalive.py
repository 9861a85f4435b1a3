"""Keep-alive probes, on a socket of the system."""

from __future__ import annotations

import socket

import pytest

from meshproxy.model.cluster import Keepalive, UpstreamHttp
from meshproxy.upstream.keepalive import keep_alive
from tests.support.models import a_cluster, outbound
from tests.support.path import DataPath


class _Protocol:
    """As much of a protocol as is asked for its socket."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.sock = sock

    @property
    def transport(self) -> _Protocol:
        return self

    def get_extra_info(self, name: str) -> socket.socket | None:
        assert name == "socket"
        return self.sock


def test_what_is_asked_for() -> None:
    with socket.socket() as sock:
        keep_alive(_Protocol(sock), Keepalive(3, 60, 10))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        found = [
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPCNT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
        ]
    assert found == [3, 60, 10]


def test_what_is_not_said_stays_as_the_system_has_it() -> None:
    with socket.socket() as sock, socket.socket() as other:
        keep_alive(_Protocol(sock), Keepalive(idle=5))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        for option in (socket.TCP_KEEPCNT, socket.TCP_KEEPINTVL):
            own = sock.getsockopt(socket.IPPROTO_TCP, option)
            assert own == other.getsockopt(socket.IPPROTO_TCP, option)


def test_a_transport_without_a_socket() -> None:
    keep_alive(_Protocol(None), Keepalive(3))


@pytest.mark.parametrize("http", list(UpstreamHttp))
def test_every_kind_of_connection_is_asked(http: UpstreamHttp) -> None:
    path = DataPath(outbound(clusters=[a_cluster(http=http, keepalive=Keepalive(3, 60, 10))]))
    path.connect().receive(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert path.dialled().take()
