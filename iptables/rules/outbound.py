"""Traffic that leaves: told apart by who sends it and where it goes.

On `lo` four kinds of connection look alike, and the owner and the source address tell them apart:
the app to its own neighbour in the pod (never captured), the app to itself by its service's name
(the sidecar dials the pod's own address, which is inbound traffic), the sidecar handing an inbound
request to the app (must not come back), and the app talking to the sidecar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from iptables.options import Cidr, Facts, Options
from iptables.rules.rule import (
    BOTH,
    ON_LOOPBACK,
    RETURN,
    TCP,
    UDP,
    V4_ONLY,
    V6_ONLY,
    Chain,
    Family,
    Field,
    Match,
    Rule,
    Table,
    coming_in,
    from_,
    jump,
    not_to,
    to,
    to_port,
)

# The address that the sidecar binds when it dials the app, so that this traffic can be told from
# the app's own (Istio's; the IPv6 one must be added to `lo`, 127.0.0.0/8 is there already).
PASSTHROUGH_V4: Final = "127.0.0.6/32"
PASSTHROUGH_V6: Final = "::6/128"
LOOPBACK_V6: Final = "::1/128"
DNS_PORT: Final = 53


def per_family(v4: str, v6: str) -> tuple[tuple[frozenset[Family], str], ...]:
    """The same rule in both families, each with its own address."""
    return ((V4_ONLY, v4), (V6_ONLY, v6))


def hook() -> Iterator[Rule]:
    """Every protocol comes by, because DNS capture and exclusions concern UDP too."""
    yield Rule(Table.NAT, Chain.OUTPUT, (), jump(Chain.OUR_OUTPUT))


def excluded_ports(options: Options) -> Iterator[Rule]:
    """Never captured, whatever later rules say."""
    for port in options.outbound_ports_excluded:
        for protocol in (TCP, UDP):
            yield Rule(Table.NAT, Chain.OUR_OUTPUT, (protocol, to_port(port)), RETURN)


def from_passthrough() -> Iterator[Rule]:
    """What the sidecar hands to the app, recognised by its source address."""
    for families, address in per_family(PASSTHROUGH_V4, PASSTHROUGH_V6):
        matches = (ON_LOOPBACK, from_(address))
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, matches, RETURN, families)


def from_proxy(options: Options, facts: Facts) -> Iterator[Rule]:
    """The sidecar's own connections, by its uids and then by its gids."""
    dns = facts.captures_dns(options)
    for uid in options.proxy_uids:
        yield from _owner(options, Field.UID, uid, dns, spare_dns=dns)
    for gid in options.proxy_gids:
        # Istio's gid rule does not spare port 53: the uid rule before it has already done so.
        yield from _owner(options, Field.GID, gid, dns, spare_dns=False)


def _owner(
    options: Options, field: Field, owner: str, dns: bool, *, spare_dns: bool
) -> Iterator[Rule]:
    mine, others = Match(field, owner), Match(field, owner, negated=True)
    # The sidecar dialling its own pod: an app calling itself by a service's name. Inbound again,
    # but for the tunnel port, and for DNS, where it would meet the agent instead of the resolver.
    port = Match(Field.TO_PORT, str(options.tunnel_port), negated=True)
    if spare_dns:
        ports = f"{DNS_PORT},{options.tunnel_port}"
        port = Match(Field.TO_PORTS, ports, negated=True)
    for families, address in per_family(options.loopback_cidr, LOOPBACK_V6):
        matches = (ON_LOOPBACK, not_to(address), TCP, port, mine)
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, matches, jump(Chain.IN_REDIRECT), families)
    if not captures_loopback(options):
        # The app calling itself by the pod's address. A resolver on loopback is still captured.
        resolver = Match(Field.TO_PORT, str(DNS_PORT), negated=True)
        unless = (TCP, resolver) if dns else ()
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (ON_LOOPBACK, *unless, others), RETURN)
    # Everything else that the sidecar sends, or it would meet itself for ever.
    yield Rule(Table.NAT, Chain.OUR_OUTPUT, (mine,), RETURN)


def captures_loopback(options: Options) -> bool:
    """Whether a captured range is loopback, which turns the exemption of `lo` off (Istio)."""
    return any(cidr.ip.is_loopback for cidr in options.outbound_cidrs)


def owner_groups(options: Options) -> Iterator[Rule]:
    """All groups but some are captured, or only some: one rule of "none of these"."""
    if options.owner_groups_all:
        for group in options.owner_groups_excluded:
            yield Rule(Table.NAT, Chain.OUR_OUTPUT, (Match(Field.GID, group),), RETURN)
        return
    none_of = tuple(Match(Field.GID, group, negated=True) for group in options.owner_groups)
    yield Rule(Table.NAT, Chain.OUR_OUTPUT, none_of, RETURN)


def loopback(options: Options) -> Iterator[Rule]:
    """Containers of a pod talking to each other by localhost."""
    for families, address in per_family(options.loopback_cidr, LOOPBACK_V6):
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (to(address),), RETURN, families)


def excluded_ranges(options: Options) -> Iterator[Rule]:
    """Excluded ranges stand before included ports and ranges: exclusion wins."""
    for cidr in by_family(options.outbound_cidrs_excluded):
        matches = (to(cidr.with_prefixlen),)
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, matches, RETURN, family_of(cidr))


def included_ports(options: Options) -> Iterator[Rule]:
    """Captured whatever the destination's address."""
    for port in options.outbound_ports:
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (TCP, to_port(port)), jump(Chain.REDIRECT))


def included_ranges(options: Options) -> Iterator[Rule]:
    """Captured destinations; what guests of this pod send to them arrives at PREROUTING."""
    if options.outbound_all:
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, (), jump(Chain.REDIRECT))
        yield from _guests(options, (), BOTH)
        return
    for cidr in by_family(options.outbound_cidrs):
        matches = (to(cidr.with_prefixlen),)
        yield from _guests(options, matches, family_of(cidr))
        yield Rule(Table.NAT, Chain.OUR_OUTPUT, matches, jump(Chain.REDIRECT), family_of(cidr))


def _guests(
    options: Options, matches: tuple[Match, ...], families: frozenset[Family]
) -> Iterator[Rule]:
    for name in options.virtual_interfaces:
        which = (coming_in(name), *matches)
        yield Rule(Table.NAT, Chain.PREROUTING, which, jump(Chain.REDIRECT), families, at=1)


def by_family(cidrs: tuple[Cidr, ...]) -> tuple[Cidr, ...]:
    """IPv4 first, each family in the order given."""
    return tuple(sorted(cidrs, key=lambda cidr: cidr.version))


def family_of(cidr: Cidr) -> frozenset[Family]:
    """The one family that a rule with this range belongs to."""
    return V4_ONLY if cidr.version == 4 else V6_ONLY
