"""Which backend, where the user leaves it open."""

from __future__ import annotations

import pytest

from iptables.backend import ranked
from iptables.options import Backend
from iptables.ruleset import Look

EMPTY = Look((), False, False, False)
USED = Look((), False, False, True)
OURS = Look((), False, True, True)
NFT, LEGACY, NATIVE = Backend.NFT, Backend.LEGACY, Backend.NFTABLES


@pytest.mark.parametrize(
    ("looks", "order"),
    [
        ({}, []),
        ({NFT: EMPTY, LEGACY: EMPTY, NATIVE: EMPTY}, [NFT, LEGACY, NATIVE]),
        ({NATIVE: EMPTY}, [NATIVE]),
        ({NFT: EMPTY, LEGACY: USED}, [LEGACY, NFT]),
        ({NFT: USED, LEGACY: USED}, [NFT, LEGACY]),
        ({NFT: USED, LEGACY: OURS}, [LEGACY, NFT]),
        ({NFT: EMPTY, LEGACY: USED, NATIVE: OURS}, [NATIVE, LEGACY, NFT]),
        ({NFT: OURS, LEGACY: OURS}, [NFT, LEGACY]),
    ],
)
def test_ours_then_used_then_new(looks: dict[Backend, Look], order: list[Backend]) -> None:
    assert ranked(looks) == order
