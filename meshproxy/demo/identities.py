"""Who called whom, as the called sidecars know it: by certificates, not by addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshproxy.demo.counts import OPENED, REQUESTS
from meshproxy.demo.scrape import Metrics
from meshproxy.demo.shop import Shop

REFUSED = "403"
MUTUAL = "mutual_tls"
OUTSIDE = "outside of the mesh"
FRONT = "order"  # the one app that may be called from there


@dataclass(frozen=True, slots=True)
class Link:
    """Who was at both ends: identities, where there were certificates; else where the caller came
    from, and the called app. ``code`` "" for a connection."""

    caller: str
    called: str
    security: str
    code: str


@dataclass(frozen=True, slots=True)
class Attempts:
    """What came of calls that must not succeed. ``plaintext`` "": it was answered."""

    visitor: str  # status and body
    plaintext: str  # how it ended


def links(metrics: Iterable[Metrics]) -> dict[Link, int]:
    """Requests and TCP connections by who was at their ends."""
    found: Counter[Link] = Counter()
    for scraped in metrics:
        for name in (REQUESTS, OPENED):
            for labels, count in scraped.series(name, reporter="destination"):
                security = labels["connection_security_policy"]
                ends = labels["source_principal"], labels["destination_principal"]
                if security != MUTUAL:
                    ends = OUTSIDE, labels["destination_app"]
                found[Link(*ends, security, labels.get("response_code", ""))] += count
    return dict(found)


def identity_faults(shop: Shop, found: Mapping[Link, int], attempts: Attempts) -> list[str]:
    """Whatever reached the inventory and the echo was the order front's, but for the visitor."""
    order, visitor = shop.pod("order").identity, shop.pod("visitor").identity
    called = {shop.pod(name).identity for name in ("inventory-v1", "echo")}
    faults = [
        f"{link.called} was called by {link.caller} ({link.security})."
        for link, count in found.items()
        if link.called != FRONT and count and not _expected(link, order, visitor)
    ]
    if missing := called - {link.called for link in found if link.caller == order}:
        faults.append(f"nobody was seen to call {' and '.join(sorted(missing))}.")
    if not attempts.visitor.startswith(REFUSED):
        faults.append(f"the visitor was not refused, but told {attempts.visitor}.")
    elif not any(link.caller == visitor for link in found):
        faults.append("the visitor was refused, but not by its name.")
    if not attempts.plaintext:
        faults.append("a call without a certificate was answered.")
    return faults


def _expected(link: Link, order: str, visitor: str) -> bool:
    wanted = (visitor,) if link.code == REFUSED else (order,)
    return link.security == MUTUAL and link.caller in wanted


def rows(found: Mapping[Link, int]) -> Sequence[tuple[object, ...]]:
    """For a table: the busiest first."""
    return [
        (link.caller, link.called, link.security, link.code or "TCP", count)
        for link, count in sorted(found.items(), key=lambda item: -item[1])
        if count
    ]
