"""What a dry run prints: the programs that would be run, and what they would read. Pure.

Istio's program prints this sequence too: the state is read in both families, the rules are
restored, and the state is read again.
"""

from __future__ import annotations

from collections.abc import Sequence

from iptables import nft, render
from iptables.options import Backend, Options
from iptables.rules.rule import BOTH, V4_ONLY, Family, Rule


def commands(options: Options, rules: Sequence[Rule], ipv6: bool) -> str:
    """Everything, in order."""
    text = rules_text(options, rules, ipv6)
    if options.backend is Backend.NFTABLES:
        return text
    after = "iptables-save\n" + "ip6tables-save\n" * ipv6
    return f"iptables-save\nip6tables-save\n{text}{after}"


def rules_text(options: Options, rules: Sequence[Rule], ipv6: bool) -> str:
    """The rules alone; with a clean-up, what takes them back."""
    if options.backend is Backend.NFTABLES:
        if options.cleanup_only:
            return nft.removal()
        return nft.transaction(rules, BOTH if ipv6 else V4_ONLY)
    make = render.inverse_blocks if options.cleanup_only else render.blocks
    families = (Family.V4, Family.V6) if ipv6 else (Family.V4,)
    return "".join(render.text(make(rules, family)) for family in families)
