"""TPROXY: inbound connections reach the sidecar with both addresses as the client sent them.

Nothing is rewritten. A mark on the packet makes policy routing deliver it locally (`routes`), and
the TPROXY target hands it to the sidecar's socket. When the sidecar dials the app from the client's
address, its packets carry the same mark; saved on the connection, it brings the app's answers back
to the sidecar instead of out to the client. Mark 1338 tells a connection that the sidecar makes to
its own pod (an app calling itself by a service's name), which is inbound again, from the app's
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from iptables.options import Options
from iptables.rules.outbound import LOOPBACK_V6, PASSTHROUGH_V4, PASSTHROUGH_V6, per_family
from iptables.rules.rule import (
    ACCEPT,
    ON_LOOPBACK,
    RETURN,
    TCP,
    Action,
    Chain,
    Field,
    Match,
    Rule,
    Table,
    Target,
    coming_in,
    from_,
    not_to,
)

OUTBOUND_MARK: Final = "1338"
FROM_LOOPBACK: Final = coming_in("lo")


def chains(options: Options) -> Iterator[Rule]:
    """Where inbound packets go: a known connection is marked, a new one gets the socket."""
    mark = str(options.tproxy_mark)
    yield Rule(Table.MANGLE, Chain.DIVERT, (), Target(Action.SET_MARK, mark))
    yield Rule(Table.MANGLE, Chain.DIVERT, (), ACCEPT)
    target = Target(Action.TPROXY, str(options.inbound_port), mark)
    for families, address in per_family(options.loopback_cidr, LOOPBACK_V6):
        yield Rule(Table.MANGLE, Chain.TPROXY, (not_to(address), TCP), target, families)


def original_source(options: Options) -> Iterator[Rule]:
    """Leave alone what the sidecar sends to the app from the client's address.

    Istio does without this rule because its proxy runs as root in this mode, so that the rules by
    owner let it pass. A proxy that runs as one of the proxy uids would meet itself for ever.
    """
    if options.tproxy and options.original_source:
        marked = Match(Field.MARK, str(options.tproxy_mark))
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (ON_LOOPBACK, marked), RETURN)


def marks(options: Options) -> Iterator[Rule]:
    """Marks carried between packet and connection, and what must not be captured twice."""
    if not options.tproxy:
        return
    mark = str(options.tproxy_mark)
    marked = Match(Field.MARK, mark)
    save, restore = Target(Action.SAVE_MARK), Target(Action.RESTORE_MARK)
    yield Rule(Table.MANGLE, Chain.PREROUTING, (TCP, marked), save)
    yield Rule(Table.MANGLE, Chain.OUTPUT, (TCP, ON_LOOPBACK, marked), RETURN)
    yield from _outbound(options)
    answers = (TCP, Match(Field.CONNECTION_MARK, mark))
    yield Rule(Table.MANGLE, Chain.OUTPUT, answers, restore)
    yield from _exemptions(marked)


def _outbound(options: Options) -> Iterator[Rule]:
    owners = [
        *(Match(Field.UID, uid) for uid in options.proxy_uids),
        *(Match(Field.GID, gid) for gid in options.proxy_gids),
    ]
    target = Target(Action.SET_MARK, OUTBOUND_MARK)
    for owner in owners:
        for families, address in per_family(options.loopback_cidr, LOOPBACK_V6):
            matches = (not_to(address), TCP, ON_LOOPBACK, owner)
            yield Rule(Table.MANGLE, Chain.OUTPUT, matches, target, families)


def _exemptions(marked: Match) -> Iterator[Rule]:
    """At the head of the inbound chain: packets on `lo` that are not inbound traffic."""
    yield Rule(Table.MANGLE, Chain.INBOUND, (TCP, marked), RETURN, at=1)
    for families, address in per_family(PASSTHROUGH_V4, PASSTHROUGH_V6):
        matches = (TCP, from_(address), FROM_LOOPBACK)
        yield Rule(Table.MANGLE, Chain.INBOUND, matches, RETURN, families, at=2)
    not_outbound = Match(Field.MARK, OUTBOUND_MARK, negated=True)
    yield Rule(Table.MANGLE, Chain.INBOUND, (TCP, FROM_LOOPBACK, not_outbound), RETURN, at=3)
