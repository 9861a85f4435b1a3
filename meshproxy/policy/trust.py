"""Trust domains that are taken for one another (Istio `pilot/pkg/security/trustdomain`).

A principal of the own trust domain, of one of its aliases, or of ``cluster.local``, which stands
for the own one, is meant in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_OWN = "cluster.local"
_PARTS = 5  # DOMAIN/ns/NAMESPACE/sa/ACCOUNT


def with_aliases(principals: Iterable[str], domains: Sequence[str]) -> tuple[str, ...]:
    """The principals in each of ``domains``, where theirs is one of those."""
    found: dict[str, None] = {}
    for principal in principals:
        for each in _spellings(principal, domains):
            found[each] = None
    return tuple(found)


def _spellings(principal: str, domains: Sequence[str]) -> list[str]:
    domain, *rest = principal.split("/")
    if len(rest) + 1 != _PARTS or domain == "*":
        return [principal]
    if domain != _OWN and domain not in domains and not any(_ends(d, domain) for d in domains):
        return [principal]
    return [principal if _ends(each, domain) else "/".join((each, *rest)) for each in domains]


def _ends(domain: str, pattern: str) -> bool:
    """Whether a pattern like ``*-td`` means the domain."""
    return pattern.startswith("*") and domain.endswith(pattern[1:])


def with_all_domains(given: Iterable[str], domains: Sequence[str]) -> tuple[str, ...]:
    """Trust domains, all of ours where one of ours is among them."""
    found: dict[str, None] = {}
    for domain in given:
        for each in domains if domain in domains else (domain,):
            found[each] = None
    return tuple(found)
