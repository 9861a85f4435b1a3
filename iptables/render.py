"""Rules as `iptables-restore` text, one text per family, and its exact inverse. Pure.

The text is what Istio's program writes, letter by letter, so that a dry run can be compared with
it. `iptables-restore` commits a block per table; tables come in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from iptables.rules.rule import Action, Family, Field, Match, Rule, Target

# The module that a match belongs to where it has to be named, and the option itself.
OPTIONS: Mapping[Field, str] = {
    Field.IN: "-i",
    Field.OUT: "-o",
    Field.SOURCE: "-s",
    Field.DESTINATION: "-d",
    Field.PROTOCOL: "-p",
    Field.TO_PORT: "--dport",
    Field.FROM_PORT: "--sport",
    Field.TO_PORTS: "--dports",
    Field.UID: "--uid-owner",
    Field.GID: "--gid-owner",
    Field.MARK: "--mark",
    Field.CONNECTION_MARK: "--mark",
    Field.STATE: "--ctstate",
}
MODULES: Mapping[Field, str] = {
    Field.TO_PORTS: "multiport",
    Field.UID: "owner",
    Field.GID: "owner",
    Field.MARK: "mark",
    Field.CONNECTION_MARK: "connmark",
    Field.STATE: "conntrack",
}

# Table to the lines between its name and COMMIT.
Blocks = Mapping[str, Sequence[str]]


def for_family(rules: Iterable[Rule], family: Family) -> list[Rule]:
    """The rules that are meant for a family."""
    return [rule for rule in rules if family in rule.families]


def blocks(rules: Iterable[Rule], family: Family) -> Blocks:
    """Per table: the chains to make, in order of first use, then the rules."""
    mine = for_family(rules, family)
    tables = sorted({rule.table for rule in mine})
    return {table: _block([rule for rule in mine if rule.table == table]) for table in tables}


def inverse_blocks(rules: Iterable[Rule], family: Family) -> Blocks:
    """What takes exactly these rules back, last rule first.

    Chains are emptied before any is deleted, because they may jump to each other.
    """
    mine = for_family(rules, family)
    tables = sorted({rule.table for rule in mine})
    return {table: _inverse([rule for rule in mine if rule.table == table]) for table in tables}


def text(blocks: Blocks) -> str:
    """The blocks as `iptables-restore --noflush` reads them; empty where there is nothing."""
    return "".join(
        "\n".join((f"* {table}", *lines, "COMMIT", "")) for table, lines in blocks.items() if lines
    )


def _block(rules: list[Rule]) -> list[str]:
    return [*(f"-N {chain}" for chain in _own_chains(rules)), *(line(rule) for rule in rules)]


def _inverse(rules: list[Rule]) -> list[str]:
    chains = _own_chains(rules)
    return [
        *(f"-D {rule.chain} {spec(rule)}" for rule in reversed(rules) if rule.chain.built_in),
        *(f"-F {chain}" for chain in chains),
        *(f"-X {chain}" for chain in chains),
    ]


def _own_chains(rules: list[Rule]) -> list[str]:
    """Chains that hold rules come first, then those that are only jumped to."""
    holding = [str(rule.chain) for rule in rules if not rule.chain.built_in]
    jumped = [rule.target.value for rule in rules if rule.target.action is Action.JUMP]
    return list(dict.fromkeys([*holding, *jumped]))


def line(rule: Rule) -> str:
    """The whole line, with the command that appends or inserts it."""
    where = f"-A {rule.chain}" if rule.at is None else f"-I {rule.chain} {rule.at}"
    return f"{where} {spec(rule)}"


def spec(rule: Rule) -> str:
    """Matches and target, in the order in which the rule has them."""
    parts = [_match(match) for match in rule.matches]
    udp = any(match.value == "udp" for match in rule.matches if match.field is Field.PROTOCOL)
    return " ".join([*parts, f"-j {_target(rule.target, udp)}"])


def _match(match: Match) -> str:
    module = MODULES.get(match.field)
    parts = [f"-m {module}"] if module else []
    if match.negated:
        parts.append("!")
    return " ".join([*parts, OPTIONS[match.field], match.value])


def _target(target: Target, udp: bool) -> str:
    match target.action:
        case Action.JUMP:
            return target.value
        case Action.REDIRECT:
            # The singular for UDP is Istio's own spelling; iptables takes both.
            return f"REDIRECT --to-port{'' if udp else 's'} {target.value}"
        case Action.TPROXY:
            return f"TPROXY --tproxy-mark {target.mark}/0xffffffff --on-port {target.value}"
        case Action.SET_MARK:
            return f"MARK --set-mark {target.value}"
        case Action.SAVE_MARK:
            return "CONNMARK --save-mark"
        case Action.RESTORE_MARK:
            return "CONNMARK --restore-mark"
        case Action.ZONE:
            return f"CT --zone {target.value}"
        case Action.RETURN | Action.ACCEPT | Action.DROP:
            return target.action.name
