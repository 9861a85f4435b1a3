"""What a failed program means: the capability or kernel module that is missing, and what to do.

Pure. iptables' own messages are short and differ between its two backends, so the line that failed
tells the rest: what it needs of the kernel stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

CAPABILITY: Final = (
    "the capability NET_ADMIN is missing (or the network namespace belongs to another user "
    "namespace); add NET_ADMIN and NET_RAW to the container's securityContext.capabilities, or let "
    "a node agent set the rules"
)
# What in a rule needs which module of the kernel.
NEEDS: Final[Mapping[str, str]] = {
    "-m owner": "xt_owner",
    "-m multiport": "xt_multiport",
    "-m mark": "xt_mark",
    "-m connmark": "xt_connmark",
    "-m conntrack": "xt_conntrack",
    "-j REDIRECT": "xt_REDIRECT",
    "-j TPROXY": "xt_TPROXY",
    "-j MARK": "xt_mark",
    "-j CONNMARK": "xt_connmark",
    "-j CT": "xt_CT",
    "redirect to": "nft_redir",
    "tproxy ": "nft_tproxy",
    "skuid": "nft_meta",
    "ct zone": "nft_ct",
}
_FAILED_LINE: Final = re.compile(r"line:? (\d+)(?: failed)?")
_EXTENSION: Final = re.compile(r"Extension (\S+) revision \d+ not supported")
_LEGACY_TABLE: Final = re.compile(
    r"(?:can't|unable to) initialize (?:ip6?tables )?table [`'\"](\w+)"
)
_NFT_TABLE: Final = re.compile(r"(?:TABLE|CHAIN)_ADD failed \(([^)]*)\): (?:table|chain) (\S+)")


def explain(errors: str, text: str) -> str:
    """The reason in a phrase, given what the program wrote to stderr and was given to read."""
    lowered = errors.lower()
    table = _LEGACY_TABLE.search(errors)
    if "permission denied" in lowered or "operation not permitted" in lowered:
        return CAPABILITY
    if "xtables.lock" in lowered or "xtables lock" in lowered:
        return _lock(lowered)
    if table:
        ip = "ip6" if "ip6tables" in errors else "ip"
        return _module(f"{ip}table_{table[1]}")
    if "protocol not supported" in lowered or "rule set generation id" in lowered:
        return _module("nf_tables")
    if found := _EXTENSION.search(errors):
        return _module(_extension(found[1]))
    if _NFT_TABLE.search(errors):
        return _module("nft_chain_nat (or nf_tables)")
    return _by_line(errors, text)


def missing_family(errors: str) -> bool:
    """Whether the kernel has no such tables at all, and not just some extension."""
    lowered = errors.lower()
    return "address family not supported" in lowered or bool(_LEGACY_TABLE.search(errors))


def _lock(lowered: str) -> str:
    if "read-only" in lowered or "no such file" in lowered:
        return "the lock file /run/xtables.lock can't be made; mount a writable /run"
    return "another program holds the iptables lock; run again when it is done"


def _module(name: str) -> str:
    return (
        f"the kernel module {name} is missing; load it on the node (modprobe {name.split()[0]}) or "
        "choose another --backend"
    )


def _extension(name: str) -> str:
    """Matches and targets of the same name live in one module, except where case tells."""
    return f"xt_{name}" if f"-j {name}" in NEEDS or f"-m {name}" in NEEDS else f"xt_{name.lower()}"


def _by_line(errors: str, text: str) -> str:
    """What the failing line needs, where the message does not say."""
    said = " ".join(line.strip() for line in errors.splitlines() if line.strip()) or "no message"
    found = _FAILED_LINE.search(errors)
    lines = text.splitlines()
    if not found or not 0 < int(found[1]) <= len(lines):
        return said
    line = lines[int(found[1]) - 1]
    modules = sorted({module for words, module in NEEDS.items() if words in line})
    if not modules or line == "COMMIT":
        return f"{said} (line {line!r})"
    return f"{said}; the rule {line!r} needs the kernel module {' and '.join(modules)}"
