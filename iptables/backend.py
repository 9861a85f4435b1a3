"""Which backend to use where the user leaves it open. Pure.

Two backends in one namespace both see every packet, so the one that holds our rules already comes
first, then the one that others use here, then the newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from iptables.options import Backend
from iptables.ruleset import Look

NEWEST_FIRST: Final = (Backend.NFT, Backend.LEGACY, Backend.NFTABLES)


def ranked(looks: Mapping[Backend, Look]) -> list[Backend]:
    """The backends that this host has, best first."""
    present = [backend for backend in NEWEST_FIRST if backend in looks]
    # Sorting keeps the order of equals; False comes before True.
    return sorted(present, key=lambda each: (not looks[each].ours, not looks[each].used))
