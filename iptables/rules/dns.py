"""DNS: the app's queries go to the agent, the agent's own to the resolver.

Both flows are UDP between the same three addresses, and with the same source port conntrack would
take the agent's query for a packet of the app's connection. So the two get conntrack zones of
their own, chosen in `raw`, before tracking: zone 1 between agent and resolver, zone 2 between app
and agent. TCP needs none, its connections have sockets.

Without a wish to capture everything, only the resolvers of `resolv.conf` are captured: a caching
resolver in the pod then still reaches its own upstream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from iptables.options import Facts, Options
from iptables.rules.outbound import DNS_PORT
from iptables.rules.rule import (
    BOTH,
    TCP,
    UDP,
    V4_ONLY,
    V6_ONLY,
    Action,
    Chain,
    Family,
    Field,
    Match,
    Rule,
    Table,
    Target,
    from_,
    jump,
    redirect,
    to,
    to_port,
)

AGENT_PORT: Final = 15053
ZONE_RESOLVER: Final = Target(Action.ZONE, "1")
ZONE_APP: Final = Target(Action.ZONE, "2")

# A server's range and its family; `None` is "any server".
Server = tuple[frozenset[Family], str | None]


def captured(options: Options, facts: Facts) -> Iterator[Rule]:
    """Everything that DNS capture needs, or nothing."""
    if not facts.captures_dns(options):
        return
    servers = _servers(options, facts)
    yield Rule(Table.RAW, Chain.OUTPUT, (), jump(Chain.OUTPUT_DNS))
    for families in _families(servers):
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (), jump(Chain.OUTPUT_DNS), families)
    for protocol in (TCP, UDP):
        for families, server in servers:
            matches = (protocol, to_port(DNS_PORT), *([to(server)] if server else []))
            yield Rule(Table.NAT, Chain.OUTPUT_DNS, matches, redirect(AGENT_PORT), families)
    yield from _agent_zones(options)
    yield from _app_zones(servers)


def _servers(options: Options, facts: Facts) -> list[Server]:
    if options.capture_all_dns:
        return [(BOTH, None)]
    return [
        *((V4_ONLY, f"{address}/32") for address in facts.dns_v4),
        *((V6_ONLY, f"{address}/128") for address in facts.dns_v6),
    ]


def _families(servers: list[Server]) -> list[frozenset[Family]]:
    """Where there is something to jump to: one rule for both, or one for the family."""
    present = [families for families, _ in servers]
    return [each for each in (BOTH, V4_ONLY, V6_ONLY) if each in present]


def _agent_zones(options: Options) -> Iterator[Rule]:
    """What the agent sends: queries to the resolver, answers to the app."""
    answers = Match(Field.FROM_PORT, str(AGENT_PORT))
    owners = [
        *(Match(Field.UID, uid) for uid in options.proxy_uids),
        *(Match(Field.GID, gid) for gid in options.proxy_gids),
    ]
    for owner in owners:
        query = (UDP, to_port(DNS_PORT), owner)
        yield Rule(Table.RAW, Chain.OUTPUT_DNS, query, ZONE_RESOLVER)
        yield Rule(Table.RAW, Chain.OUTPUT_DNS, (UDP, answers, owner), ZONE_APP)


def _app_zones(servers: list[Server]) -> Iterator[Rule]:
    """What the app sends, and what the resolver answers to the agent."""
    answers = Match(Field.FROM_PORT, str(DNS_PORT))
    hooked: set[frozenset[Family]] = set()
    for families, server in servers:
        if families not in hooked:
            hooked.add(families)
            yield Rule(Table.RAW, Chain.PREROUTING, (), jump(Chain.INBOUND), families)
        to_server = [to(server)] if server else []
        from_server = [from_(server)] if server else []
        query = (UDP, to_port(DNS_PORT), *to_server)
        yield Rule(Table.RAW, Chain.OUTPUT_DNS, query, ZONE_APP, families)
        answer = (UDP, answers, *from_server)
        yield Rule(Table.RAW, Chain.INBOUND, answer, ZONE_RESOLVER, families)
