"""Interfaces with rules of their own: left alone, or serving guests of this pod."""

from __future__ import annotations

from collections.abc import Iterator

from iptables.options import Options
from iptables.rules.rule import RETURN, Chain, Rule, Table, coming_in, going_out


def excluded(options: Options) -> Iterator[Rule]:
    """Nothing is captured on these, in either direction."""
    tables = (Table.NAT, Table.MANGLE) if options.tproxy else (Table.NAT,)
    for table in tables:
        for name in options.excluded_interfaces:
            yield Rule(table, Chain.PREROUTING, (coming_in(name),), RETURN)
            yield Rule(table, Chain.OUTPUT, (going_out(name),), RETURN)


def virtual(options: Options) -> Iterator[Rule]:
    """What a virtual machine of this pod sends arrives here, yet is outbound traffic.

    So it leaves the inbound rules at once; `outbound.included_ranges` inserts before this what of
    it is captured.
    """
    for name in options.virtual_interfaces:
        yield Rule(Table.NAT, Chain.PREROUTING, (coming_in(name),), RETURN, at=1)
