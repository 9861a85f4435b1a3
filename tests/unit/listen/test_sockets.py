"""Binding, and what is said when it fails."""

from __future__ import annotations

import socket

import pytest

from meshproxy.listen.sockets import BindError, host_addresses, host_has_ipv6, listen_on


def test_a_port_in_use_is_a_sentence() -> None:
    with listen_on("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"127.0.0.1:{port}: another program has this port"):
            listen_on("127.0.0.1", port)


def test_an_address_of_somebody_else() -> None:
    with pytest.raises(BindError, match="does not have that address"):
        listen_on("192.0.2.1", 8080)


@pytest.mark.skipif(not host_has_ipv6(), reason="this host has no IPv6")
def test_ipv6_takes_ipv6_alone() -> None:
    with listen_on("::1", 0) as six:
        port = six.getsockname()[1]
        with listen_on("127.0.0.1", port), pytest.raises(BindError):
            listen_on("::1", port)
        assert six.family == socket.AF_INET6


def test_sockets_do_not_block_or_leak_to_children() -> None:
    with listen_on("127.0.0.1", 0) as sock:
        assert not sock.getblocking()
        assert not sock.get_inheritable()


def test_own_addresses_leave_loopback_out() -> None:
    found = host_addresses()
    assert not [ip for ip in found if ip.startswith("127.") or ip == "::1"]
