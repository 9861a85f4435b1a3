"""Who was seen to call whom, and who should not have been."""

from __future__ import annotations

import pytest

from meshproxy.demo.files import examples, yaml_texts
from meshproxy.demo.identities import Attempts, identity_faults, links
from meshproxy.demo.scrape import Metrics
from meshproxy.demo.shop import read_shop

SHOP = read_shop(yaml_texts(examples() / "demo").values())
ORDER, INVENTORY, ECHO, VISITOR = (
    SHOP.pod(name).identity for name in ("order", "inventory-v1", "echo", "visitor")
)
REFUSED = Attempts("403 RBAC: access denied", "connection reset by peer")


def line(name: str, caller: str, called: str, count: int, **more: str) -> str:
    labels = {
        "reporter": "destination",
        "source_principal": caller,
        "destination_principal": called,
        "destination_app": "app",
        "connection_security_policy": "mutual_tls",
        **more,
    }
    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{text}}} {count}\n"


REQUESTS, OPENED = "istio_requests_total", "istio_tcp_connections_opened_total"
GOOD = (
    line(REQUESTS, ORDER, INVENTORY, 5, response_code="200"),
    line(OPENED, ORDER, ECHO, 2),
    line(REQUESTS, VISITOR, INVENTORY, 1, response_code="403"),
)
FRONT_DOOR = line(
    REQUESTS,
    "unknown",
    "unknown",
    7,
    response_code="200",
    connection_security_policy="none",
    destination_app="order",
)


def faults(*lines: str, attempts: Attempts = REFUSED) -> list[str]:
    return identity_faults(SHOP, links([Metrics("".join(lines))]), attempts)


def test_what_should_be() -> None:
    assert faults(*GOOD, FRONT_DOOR) == []
    assert sum(links([Metrics("".join(GOOD)), Metrics(GOOD[0])]).values()) == 13


@pytest.mark.parametrize(
    ("lines", "attempts", "words"),
    [
        (GOOD[:1] + GOOD[2:], REFUSED, "nobody was seen to call spiffe://cluster.local/ns/shop"),
        (GOOD[:2], REFUSED, "but not by its name"),
        (GOOD, Attempts("200 an apple", "reset"), "not refused, but told 200 an apple"),
        (GOOD, Attempts("403 no", ""), "without a certificate was answered"),
        (
            (*GOOD, line(REQUESTS, VISITOR, INVENTORY, 1, response_code="200")),
            REFUSED,
            f"was called by {VISITOR}",
        ),
        (
            (*GOOD, FRONT_DOOR.replace('"order"', '"inventory"')),
            REFUSED,
            "inventory was called by outside of the mesh (none)",
        ),
    ],
)
def test_what_should_not_be(lines: tuple[str, ...], attempts: Attempts, words: str) -> None:
    (fault,) = faults(*lines, attempts=attempts)
    assert words in fault
