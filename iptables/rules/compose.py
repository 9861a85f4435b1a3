"""All rules for a set of options, in order.

The order is the behaviour. Inside `ISTIO_OUTPUT`, for instance: excluded ports leave first,
because nothing later may bring them back; then the sidecar's own calls to the app are told from
the app's calls, because both look like traffic on `lo`; then DNS, before the loopback exemption
would let a resolver on 127.0.0.53 pass; then the ranges.
"""

from __future__ import annotations

from dataclasses import replace

from iptables.options import Facts, Options
from iptables.rules import dns, inbound, interfaces, outbound, tproxy
from iptables.rules.rule import Rule, Table


def compose(options: Options, facts: Facts) -> tuple[Rule, ...]:
    """Every rule, in the order in which it is added; later insertions come before earlier rules."""
    return (
        *interfaces.excluded(options),
        *interfaces.virtual(options),
        *inbound.drop_invalid(options),
        *inbound.redirect_chains(options),
        *inbound.captured(options),
        *outbound.hook(),
        *outbound.excluded_ports(options),
        *outbound.from_passthrough(),
        *tproxy.original_source(options),
        *outbound.from_proxy(options, facts),
        *outbound.owner_groups(options),
        *dns.captured(options, facts),
        *outbound.loopback(options),
        *outbound.excluded_ranges(options),
        *outbound.included_ports(options),
        *outbound.included_ranges(options),
        *tproxy.marks(options),
    )


def recognisable(options: Options, facts: Facts) -> tuple[Rule, ...]:
    """The rules by which to know what an earlier run has set.

    These, and what the same interfaces get in the other mode, which may have been the one before.
    """
    rules = compose(options, facts)
    other = () if options.tproxy else interfaces.excluded(replace(options, tproxy=True))
    return (*(rule for rule in other if rule.table is Table.MANGLE), *rules)
