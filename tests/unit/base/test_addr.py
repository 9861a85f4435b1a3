from __future__ import annotations

import pytest

from meshproxy.base.addr import Address, is_ip, parse_ip, parse_server, split_servers


def test_text() -> None:
    assert str(Address("10.0.0.1", 80)) == "10.0.0.1:80"
    assert str(Address("fd00::1", 80)) == "[fd00::1]:80"


@pytest.mark.parametrize(
    ("text", "ip"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("FD00:0::1", "fd00::1")],
)
def test_canonical_spelling(text: str, ip: str) -> None:
    assert parse_ip(text) == ip


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.1:80", "shop", "10.0.0.0/8"])
def test_what_is_no_address(text: str) -> None:
    assert not is_ip(text)
    with pytest.raises(ValueError, match="does not appear"):
        parse_ip(text)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("10.0.0.1", "10.0.0.1:53"),
        ("10.0.0.1:5353", "10.0.0.1:5353"),
        ("FD00::A", "[fd00::a]:53"),
        ("[fd00::a]:5353", "[fd00::a]:5353"),
    ],
)
def test_name_servers(text: str, server: str) -> None:
    assert str(parse_server(text)) == server


@pytest.mark.parametrize(
    "text", ["", "ns.example", "10.0.0.1:0", "10.0.0.1:", "10.0.0.1:99999", ":53"]
)
def test_what_is_no_name_server(text: str) -> None:
    assert parse_server(text) is None


def test_name_servers_by_commas() -> None:
    assert split_servers(" 10.0.0.1, 10.0.0.2:53 ,") == ["10.0.0.1", "10.0.0.2:53"]
