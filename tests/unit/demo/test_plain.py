"""Loopback addresses and free ports, where nothing is redirected."""

from __future__ import annotations

import socket

import pytest

from meshproxy.demo.errors import DemoError
from meshproxy.demo.plain import choose_ports, local

HERE = "127.77.200.1"


def test_every_address_has_one_on_this_machine() -> None:
    assert local("10.77.0.21") == "127.77.0.21"
    assert local("127.0.0.1") == "127.0.0.1"


def test_a_port_in_use_is_replaced_by_the_next() -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        chosen = choose_ports({port: ["127.77.200.2", HERE]})
        assert chosen[port] > port
        assert choose_ports({port: ["127.77.200.2"]}) == {port: port}


def test_a_port_in_use_everywhere_counts_on_every_address() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert choose_ports({port: [HERE]})[port] > port


def test_no_port_is_chosen_twice() -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        chosen = choose_ports({port: [HERE], port + 1: [HERE], port + 2: ["127.77.200.2"]})
        assert len(set(chosen.values())) == 3
        assert chosen[port] not in (port, port + 1, port + 2)


def test_none_free() -> None:
    with socket.create_server((HERE, 65535)), pytest.raises(DemoError, match="No free port"):
        choose_ports({65535: [HERE]})
