"""Istio `LoadBalancerSettings`: which endpoint is chosen."""

from __future__ import annotations

from meshproxy.model.cluster import Balance
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import LEAST_DURATION

_SIMPLE = {
    "UNSPECIFIED": Balance.LEAST_REQUEST,
    "LEAST_CONN": Balance.LEAST_REQUEST,
    **{balance.value: balance for balance in Balance},
}
_KINDS = ("simple", "consistentHash", "backendUtilization")
_HASH_KEYS = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
_LARGEST_TABLE = 5_000_011  # Maglev's, as Envoy bounds it


def read_load_balancer(fields: Fields, outlier: bool) -> Balance:
    kind = fields.one_of(_KINDS, "a load balancer")
    simple = fields.choice("simple", _SIMPLE, "UNSPECIFIED")
    fields.read("consistentHash", _check_hash)
    fields.read("backendUtilization", _check_utilization)
    fields.read("warmup", _check_warmup)
    fields.duration("warmupDurationSecs", None, LEAST_DURATION)
    for name in ("localityLbSetting", "zoneAwareLbSetting"):
        fields.read(name, lambda inner: _check_locality(inner, outlier))
    if fields.has("localityLbSetting") and fields.has("zoneAwareLbSetting"):
        fields.error("zoneAwareLbSetting", "can't stand beside localityLbSetting", "remove one")
    fields.later(
        *_KINDS[1:], "warmup", "warmupDurationSecs", "localityLbSetting", "zoneAwareLbSetting"
    )
    fields.close()
    return _SIMPLE[simple] if kind == "simple" else Balance.LEAST_REQUEST


def _check_hash(fields: Fields) -> None:
    fields.one_of(_HASH_KEYS, "a consistent hash")
    fields.text("httpHeaderName")
    fields.text("httpQueryParameterName")
    fields.flag("useSourceIp")
    fields.read("httpCookie", _check_cookie)
    algorithm = fields.one_of(("ringHash", "maglev"), "a consistent hash")
    fields.read("ringHash", lambda inner: inner.skip(str(inner.integer("minimumRingSize"))))
    fields.read("maglev", _check_maglev)
    if fields.integer("minimumRingSize", 0, 0, 2**63):
        fields.warn("minimumRingSize", "is an old field", "use ringHash: {minimumRingSize: …}")
        if algorithm:
            fields.error("minimumRingSize", f"can't stand beside {algorithm}", "remove it")


def _check_cookie(fields: Fields) -> None:
    fields.required("name")
    fields.text("path")
    fields.duration("ttl")
    seen = set()
    for attribute in fields.mappings("attributes"):
        name = attribute.required("name")
        attribute.text("value")
        if name in seen:
            attribute.error("name", f"{name} is there twice", "remove one of them")
        seen.add(name)
        attribute.close()


def _check_maglev(fields: Fields) -> None:
    size = fields.integer("tableSize", 0, 0, 2**63)
    if not 0 < size < _LARGEST_TABLE or not _is_prime(size):
        fields.error("tableSize", f"{size} is not a prime below {_LARGEST_TABLE}", "65537")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


def _check_utilization(fields: Fields) -> None:
    fields.integer("errorUtilizationPenaltyPercent")
    fields.texts("metricNamesForComputingUtilization")
    for name in ("weightExpirationPeriod", "weightStabilizationPeriod", "weightUpdatePeriod"):
        fields.duration(name)


def _check_warmup(fields: Fields) -> None:
    if not fields.has("duration"):
        fields.error("duration", "is required")
    fields.duration("duration", None, LEAST_DURATION)
    if not 0 <= fields.number("minimumPercent", 10) <= 100:
        fields.error("minimumPercent", "is not in 0-100")
    if fields.number("aggression", 1) < 1:
        fields.error("aggression", "is below 1")


def _check_locality(fields: Fields, outlier: bool) -> None:
    fields.flag("enabled")
    fields.integer("minClusterSize", 1, 1)
    fields.texts("failoverPriority")
    origins: list[str] = []
    for rule in fields.mappings("distribute"):
        origins.append(rule.text("from"))
        _check_shares(rule)
        rule.close()
    _check_overlap(fields, "distribute", origins)
    for rule in fields.mappings("failover"):
        source, target = rule.text("from"), rule.text("to")
        rule.close()
        if source == target:
            rule.error("to", "fails over to where it came from", "name another region")
        if "*" in source or "*" in target or "/" in source or "/" in target:
            rule.error("from", "takes regions alone, without wildcards")
    failover = bool(fields.items("failover") or fields.items("failoverPriority"))
    if fields.items("failover") and fields.items("distribute"):
        fields.error("failover", "can't stand beside distribute", "remove one of them")
    if failover and not outlier:
        fields.warn(
            "failover", "needs outlierDetection to notice a failure", "add outlierDetection"
        )


def _check_shares(rule: Fields) -> None:
    total, places = 0, []
    for place, share, path in rule.entries("to"):
        places.append(place)
        if isinstance(share, bool) or not isinstance(share, int) or not 1 <= share <= 100:
            rule.report.error(path, f"{share!r} is not in 1-100")
        else:
            total += share
    if total != 100:
        rule.error("to", f"the shares add up to {total}", "make it 100")
    _check_overlap(rule, "to", places)


def _check_overlap(fields: Fields, name: str, places: list[str]) -> None:
    """``region/*`` and ``region/zone`` can't both be told apart (Istio `validateLocalities`)."""
    for at, place in enumerate(places):
        _, star, rest = place.partition("*")
        if star and rest:
            fields.error(name, f"{place!r}: a wildcard ends a locality", "remove what follows it")
        for other in places[:at]:
            short, long = sorted(
                (place.rstrip("*").rstrip("/"), other.rstrip("*").rstrip("/")), key=len
            )
            if short == long or not short or long.startswith(short + "/"):
                fields.error(name, f"{place!r} and {other!r} overlap", "remove one of them")
