"""Rules as one `nft` transaction over three tables of our own, and its inverse. Pure.

Both families share the tables (family `inet`), so a rule without an address stands once. Tables,
chains, hooks and priorities are Istio's. Insertions are carried out here: each chain is written in
the order in which it is walked, because `nft` counts positions differently between versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from iptables.rules.rule import (
    BOTH,
    Action,
    Chain,
    Family,
    Field,
    Match,
    Rule,
    Table,
    Target,
)
from iptables.rules.walk import walk

# The order in which Istio's program makes tables, and chains within a table.
TABLES: Final = (Table.NAT, Table.MANGLE, Table.RAW)
CHAINS: Final = (
    Chain.PREROUTING,
    Chain.OUTPUT,
    Chain.DIVERT,
    Chain.TPROXY,
    Chain.INBOUND,
    Chain.REDIRECT,
    Chain.IN_REDIRECT,
    Chain.OUR_OUTPUT,
    Chain.OUTPUT_DNS,
    Chain.DROP,
)
# Priorities by number: names like `dstnat` are not known in every hook of older versions.
# `route` in mangle's output: a changed mark must lead to another routing decision.
HOOKS: Final[Mapping[tuple[Table, Chain], str]] = {
    (Table.NAT, Chain.PREROUTING): "type nat hook prerouting priority -100",
    (Table.NAT, Chain.OUTPUT): "type nat hook output priority -100",
    (Table.MANGLE, Chain.PREROUTING): "type filter hook prerouting priority -150",
    (Table.MANGLE, Chain.OUTPUT): "type route hook output priority -150",
    (Table.RAW, Chain.PREROUTING): "type filter hook prerouting priority -300",
    (Table.RAW, Chain.OUTPUT): "type filter hook output priority -300",
}
# In which order conditions stand; it changes nothing, and is Istio's so that listings compare.
_FIRST: Final = (
    Field.OUT,
    Field.IN,
    Field.PROTOCOL,
    Field.MARK,
    Field.CONNECTION_MARK,
    Field.STATE,
)
_ADDRESSES: Final = (Field.SOURCE, Field.DESTINATION)
_PORTS: Final = (Field.FROM_PORT, Field.TO_PORT, Field.TO_PORTS)
_OWNERS: Final = (Field.UID, Field.GID)
ORDER: Final = (*_FIRST, *_ADDRESSES, *_PORTS, *_OWNERS)
ORDER_IN_RAW: Final = (*_FIRST, *_PORTS, *_ADDRESSES, *_OWNERS)


def table_name(table: Table) -> str:
    """Our table for what iptables has in `table`."""
    return f"istio-proxy-{table}"


def chain_name(chain: str) -> str:
    """`ISTIO_IN_REDIRECT` is `istio-in-redirect` here."""
    return chain.lower().replace("_", "-")


def transaction(rules: Iterable[Rule], families: frozenset[Family] = BOTH) -> str:
    """All tables as commands; `nft -f` applies them together or not at all."""
    walked = walk(rule for rule in rules if rule.families & families)
    return "".join(
        "\n".join([*_table(table, walked[table]), ""]) for table in TABLES if table in walked
    )


def removal(tables: Iterable[Table] = TABLES) -> str:
    """What takes our tables away; adding first makes it right for tables that are not there."""
    return "".join(
        f"{verb} table inet {table_name(table)}\n" for table in tables for verb in ("add", "delete")
    )


def replacement(rules: Iterable[Rule], families: frozenset[Family] = BOTH) -> str:
    """Away with what is there, and in with the rules, in the same transaction."""
    return removal() + transaction(rules, families)


def _table(table: Table, chains: Mapping[Chain, Sequence[Rule]]) -> list[str]:
    name = table_name(table)
    lines = [f"add table inet {name}", f"flush table inet {name}"]
    present = [chain for chain in CHAINS if chain in chains]
    for chain in present:
        hook = HOOKS.get((table, chain))
        body = f" {{ {hook} ; }}" if hook else ""
        lines.append(f"add chain inet {name} {chain_name(chain)}{body}")
    for chain in present:
        texts = dict.fromkeys(rule_text(rule) for rule in chains[chain])
        lines += [f"add rule inet {name} {chain_name(chain)} {text}" for text in texts]
    return lines


def rule_text(rule: Rule) -> str:
    """One rule. A jump meant for one family, without an address, is the same rule for both."""
    order = ORDER_IN_RAW if rule.table is Table.RAW else ORDER
    matches = sorted(rule.matches, key=lambda match: order.index(match.field))
    protocol = next((match.value for match in matches if match.field is Field.PROTOCOL), "")
    if rule.target.value == Chain.DROP and not protocol:
        # Istio's nftables rules drop invalid packets of TCP alone.
        matches.insert(0, Match(Field.PROTOCOL, "tcp"))
    parts = [_match(match, rule.families, protocol) for match in matches]
    return " ".join(part for part in [*parts, _statement(rule)] if part)


def _match(match: Match, families: frozenset[Family], protocol: str) -> str:
    ip = "ip6" if families == frozenset({Family.V6}) else "ip"
    value = ("!= " if match.negated else "") + match.value
    match match.field:
        case Field.IN | Field.OUT:
            name = "iifname" if match.field is Field.IN else "oifname"
            return f"{name} {_interface(value)}"
        case Field.PROTOCOL:
            # A UDP rule always has a port match, which says the protocol too.
            return f"meta l4proto {value}" if protocol != "udp" else ""
        case Field.SOURCE | Field.DESTINATION:
            side = "saddr" if match.field is Field.SOURCE else "daddr"
            return f"{ip} {side} {value}"
        case Field.TO_PORT | Field.FROM_PORT:
            side = "dport" if match.field is Field.TO_PORT else "sport"
            return f"{protocol} {side} {value}"
        case Field.TO_PORTS:
            negation, ports = ("!= " if match.negated else ""), match.value.replace(",", ", ")
            return f"{protocol} dport {negation}{{ {ports} }}"
        case Field.UID | Field.GID:
            return f"{'skuid' if match.field is Field.UID else 'skgid'} {value}"
        case Field.MARK:
            return f"mark {value}"
        case Field.CONNECTION_MARK:
            return f"ct mark {value}"
        case Field.STATE:
            return f"ct state {value.lower()}"


def _interface(name: str) -> str:
    """`eth+` is `eth*` here."""
    return f"{name[:-1]}*" if name.endswith("+") else name


def _statement(rule: Rule) -> str:
    target = rule.target
    match target.action:
        case Action.JUMP:
            return f"counter jump {chain_name(target.value)}"
        case Action.REDIRECT:
            return f"counter redirect to :{target.value}"
        case Action.TPROXY:
            return _tproxy(target, "ip6" if Family.V4 not in rule.families else "ip")
        case Action.SET_MARK:
            return f"counter meta mark set {target.value}"
        case Action.SAVE_MARK:
            return "counter ct mark set mark"
        case Action.RESTORE_MARK:
            return "counter meta mark set ct mark"
        case Action.ZONE:
            return f"counter ct zone set {target.value}"
        case Action.RETURN | Action.ACCEPT | Action.DROP:
            return f"counter {target.action.value}"


def _tproxy(target: Target, ip: str) -> str:
    return f"tproxy {ip} to :{target.value} meta mark set {target.mark} counter accept"
