"""iptables in memory: tables that take `iptables-restore` text and print `iptables-save` text.

Enough of it to run every text that this program writes, block by block and whole or not at all.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Sequence

from iptables.canonical import canonical
from iptables.execute import Result

BUILT_IN = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")


class Refused(Exception):
    """The kernel would not take a line."""


class Tables:
    """The tables of one family."""

    def __init__(self, text: str = "") -> None:
        self.tables: dict[str, dict[str, list[str]]] = {}
        self.restore(text)

    def save(self) -> str:
        """As `iptables-save` prints it."""
        lines: list[str] = []
        for table, chains in self.tables.items():
            lines.append(f"*{table}")
            lines += [f":{name} {'ACCEPT' if name in BUILT_IN else '-'} [0:0]" for name in chains]
            lines += [f"-A {name} {rule}" for name, rules in chains.items() for rule in rules]
            lines.append("COMMIT")
        return "\n".join(["# Generated", *lines, ""])

    def used(self) -> dict[str, dict[str, list[str]]]:
        """What is there, without tables and built-in chains that nobody uses."""
        kept = {
            table: {name: rules for name, rules in chains.items() if rules or name not in BUILT_IN}
            for table, chains in self.tables.items()
        }
        return {table: chains for table, chains in kept.items() if chains}

    def restore(self, text: str) -> None:
        """As `iptables-restore --noflush` takes it. Raises `Refused`, with that table unchanged."""
        chains: dict[str, list[str]] = {}
        table = ""
        for line in text.splitlines():
            if line.startswith("*"):
                table = line[1:].strip()
                chains = copy.deepcopy(self.tables.get(table, {name: [] for name in BUILT_IN}))
            elif line == "COMMIT":
                self.tables[table] = chains
            elif line.startswith(":"):
                chains.setdefault(line[1:].split(" ")[0], [])
            elif not line.startswith("#"):
                _do(chains, line)


def _do(chains: dict[str, list[str]], line: str) -> None:
    command, chain, *rest = line.split(" ", 2)
    spec = rest[0] if rest else ""
    if command == "-N":
        if chain in chains:
            raise Refused(f"{chain} exists")
        chains[chain] = []
        return
    if chain not in chains:
        raise Refused(f"no chain {chain}")
    if command == "-A":
        chains[chain].append(_known(chains, spec))
    elif command == "-I":
        place, spec = spec.split(" ", 1)
        if int(place) > len(chains[chain]) + 1:
            raise Refused(f"{chain} has no place {place}")
        chains[chain].insert(int(place) - 1, _known(chains, spec))
    elif command == "-D":
        del chains[chain][_place(chains[chain], spec)]
    elif command == "-F":
        chains[chain] = []
    elif command == "-X":
        _delete(chains, chain)


def _known(chains: dict[str, list[str]], spec: str) -> str:
    target = canonical(spec).target_name
    if target.startswith("ISTIO_") and target not in chains:
        raise Refused(f"no chain {target}")
    return spec


def _place(rules: Sequence[str], spec: str) -> int:
    if spec.isdigit():
        return int(spec) - 1
    for place, rule in enumerate(rules):
        if canonical(rule) == canonical(spec):
            return place
    raise Refused(f"no rule {spec}")


def _delete(chains: dict[str, list[str]], chain: str) -> None:
    used = any(chain in shlex.split(rule) for rules in chains.values() for rule in rules)
    if chains[chain] or used:
        raise Refused(f"{chain} is in use")
    del chains[chain]


class FakeRunner:
    """Programs of a host: iptables-nft in both families, or what is named; each has its tables.

    `fails` maps a program's name to how many of its next runs fail, and with which message.
    """

    def __init__(self, *programs: str, v4: str = "", v6: str = "") -> None:
        names = programs or ("iptables-nft", "ip6tables-nft")
        self.programs = {f"{name}-{each}" for name in names for each in ("save", "restore")}
        self.programs |= {"ip"}
        self.kernel = {"iptables": Tables(v4), "ip6tables": Tables(v6)}
        self.kernel |= {"iptables-legacy": Tables(), "ip6tables-legacy": Tables()}
        self.calls: list[list[str]] = []
        self.fails: dict[str, list[str]] = {}

    def find(self, program: str) -> str | None:
        return f"/sbin/{program}" if program in self.programs else None

    def run(self, argv: Sequence[str], text: str = "") -> Result:
        program = argv[0].removeprefix("/sbin/")
        self.calls.append([program, *argv[1:]])
        if messages := self.fails.get(program):
            return Result(1, "", messages.pop(0))
        if program == "ip":
            return Result(0, "", "")
        name, kind = program.rsplit("-", 1)
        tables = self.kernel[name.removesuffix("-nft")]
        if kind == "save":
            return Result(0, tables.save(), "")
        try:
            tables.restore(text)
        except Refused as err:
            return Result(1, "", str(err))
        return Result(0, "", "")

    def changes(self) -> list[str]:
        """The programs that were run to change something."""
        return [call[0] for call in self.calls if not call[0].endswith("save")]
