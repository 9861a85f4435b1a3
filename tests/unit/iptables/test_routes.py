"""Policy routes: when, and for which families."""

from __future__ import annotations

from iptables import routes
from iptables.routes import PolicyRoute
from iptables.rules.rule import Family
from tests.unit.iptables.build import BOTH_FAMILIES, IPV4, options

V4, V6 = PolicyRoute(Family.V4, 1337, 133), PolicyRoute(Family.V6, 1337, 133)


def test_only_where_tproxy_captures_something() -> None:
    assert routes.wanted(options("-b", "*"), BOTH_FAMILIES) == ()
    assert routes.wanted(options("-m", "TPROXY"), BOTH_FAMILIES) == ()
    assert routes.wanted(options("-m", "TPROXY", "-b", "80"), BOTH_FAMILIES) == (V4, V6)
    assert routes.wanted(options("-m", "TPROXY", "-b", "80"), IPV4) == (V4,)


def test_mark_and_table() -> None:
    found = routes.ours(options("-t", "5", "-r", "6"))
    assert found == (PolicyRoute(Family.V4, 5, 6), PolicyRoute(Family.V6, 5, 6))


def test_ranges_and_the_address_on_loopback() -> None:
    assert (V4.everywhere, V6.everywhere) == ("0.0.0.0/0", "::/0")
    assert routes.PASSTHROUGH_ADDRESS == "::6"
