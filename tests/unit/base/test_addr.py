from __future__ import annotations

import pytest

from meshproxy.base.addr import Address, is_ip, parse_ip


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
