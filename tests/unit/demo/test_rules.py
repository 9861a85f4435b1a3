"""The kernel's counters, read from what iptables-save prints."""

from __future__ import annotations

from meshproxy.demo.rules import parse

SAVED = """\
*nat
:ISTIO_REDIRECT - [0:0]
[7:420] -A OUTPUT -p tcp -j ISTIO_OUTPUT
[204:12240] -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
[4:240] -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
[3:180] -A ISTIO_OUTPUT -o lo -p tcp -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
[9:540] -A OTHER -p tcp -j REDIRECT --to-ports 1
COMMIT
"""


def test_the_two_redirecting_rules_are_read() -> None:
    assert parse(SAVED) == {"out": 204, "in": 4}


def test_no_rules_no_counts() -> None:
    assert parse("*nat\nCOMMIT\n") == {}
