"""How often a pod's redirect rules have been at work, by the kernel's own counters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from meshproxy.demo.system import has, run

_CHAINS = {"ISTIO_REDIRECT": "out", "ISTIO_IN_REDIRECT": "in"}
_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) .*-j REDIRECT\b")
# The rules may stand in either of the kernel's two tables, whichever program is the default.
_PROGRAMS = ("iptables-nft-save", "iptables-legacy-save", "iptables-save")


def redirections(inside: Sequence[str]) -> dict[str, int]:
    """Connections by direction. ``inside`` is the command prefix that enters the pod.

    Only a connection's first packet passes these rules.
    """
    found: dict[str, int] = {}
    for program in _PROGRAMS:
        if has(program) and not found:
            found = parse(run([*inside, program, "-c", "-t", "nat"]).stdout)
    return found


def parse(text: str) -> dict[str, int]:
    """The counters of the redirecting rules in what ``iptables-save -c`` prints."""
    return {
        _CHAINS[match[2]]: int(match[1]) for match in _RULE.finditer(text) if match[2] in _CHAINS
    }
