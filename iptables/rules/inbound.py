"""Traffic that arrives: which of it goes to the sidecar's inbound port."""

from __future__ import annotations

from collections.abc import Iterator

from iptables.options import Options
from iptables.rules import tproxy
from iptables.rules.rule import (
    DROP,
    RETURN,
    TCP,
    Chain,
    Field,
    Match,
    Rule,
    Table,
    jump,
    redirect,
    to_port,
)

INVALID = Match(Field.STATE, "INVALID")
KNOWN_CONNECTION = Match(Field.STATE, "RELATED,ESTABLISHED")


def drop_invalid(options: Options) -> Iterator[Rule]:
    """Packets outside of any window are dropped; let through, they would reset the connection."""
    if options.drop_invalid:
        yield Rule(Table.MANGLE, Chain.PREROUTING, (INVALID,), jump(Chain.DROP))
        yield Rule(Table.MANGLE, Chain.DROP, (), DROP)


def redirect_chains(options: Options) -> Iterator[Rule]:
    """The chains that others jump to; the tunnel port is the proxy's own and never redirected."""
    tunnel = (TCP, to_port(options.tunnel_port))
    yield Rule(Table.NAT, Chain.INBOUND, tunnel, RETURN)
    yield Rule(Table.NAT, Chain.REDIRECT, (TCP,), redirect(options.proxy_port))
    yield Rule(Table.NAT, Chain.IN_REDIRECT, (TCP,), redirect(options.inbound_port))


def captured(options: Options) -> Iterator[Rule]:
    """Inbound ports, by redirect or, with the client's address kept, by TPROXY."""
    if not options.captures_inbound:
        return
    if options.tproxy:
        yield from tproxy.chains(options)
    table = Table.MANGLE if options.tproxy else Table.NAT
    yield Rule(table, Chain.PREROUTING, (TCP,), jump(Chain.INBOUND))
    if not options.inbound_all:
        for port in options.inbound_ports:
            yield from _to_sidecar(options, table, (TCP, to_port(port)))
        return
    for port in options.inbound_ports_excluded:
        yield Rule(table, Chain.INBOUND, (TCP, to_port(port)), RETURN)
    yield from _to_sidecar(options, table, (TCP,))


def _to_sidecar(options: Options, table: Table, which: tuple[Match, ...]) -> Iterator[Rule]:
    if not options.tproxy:
        yield Rule(table, Chain.INBOUND, which, jump(Chain.IN_REDIRECT))
        return
    # TPROXY is for the first packet; the rest of a connection already has a socket to go to.
    yield Rule(table, Chain.INBOUND, (*which, KNOWN_CONNECTION), jump(Chain.DIVERT))
    yield Rule(table, Chain.INBOUND, which, jump(Chain.TPROXY))
