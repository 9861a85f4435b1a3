"""``networking.istio.io`` DestinationRule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import read_export_to, read_selector
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.traffic_policy import NO_POLICY, TrafficPolicy, read_traffic_policy
from meshproxy.translate.kinds.workload_entry import read_labels
from meshproxy.translate.names import host_fault, is_label


@dataclass(frozen=True, slots=True)
class Subset:
    name: str
    labels: Mapping[str, str]
    policy: TrafficPolicy = NO_POLICY


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """``host`` as written. ``selector`` None: for every client."""

    meta: Meta
    host: str
    policy: TrafficPolicy
    subsets: tuple[Subset, ...]
    export_to: tuple[str, ...] = ()
    selector: Mapping[str, str] | None = None


def read_destination_rule(top: Fields, meta: Meta) -> DestinationRule:
    fields = top.mapping("spec")
    host = fields.text("host").lower()
    fault = host_fault(host, wildcard=True)
    if fault:
        fields.error("host", fault, "name a service: reviews or reviews.ns.svc.cluster.local")
    subsets = _read_subsets(fields)
    rule = DestinationRule(
        meta,
        host,
        _read_policy(fields),
        subsets,
        read_export_to(fields, meta),
        read_selector(fields, "workloadSelector"),
    )
    if fields.has("workloadSelector") and set(rule.export_to) - {".", meta.namespace}:
        fields.error(
            "exportTo", "a rule with a workloadSelector stays in its namespace", "exportTo: ['.']"
        )
    fields.close()
    return rule


def _read_policy(fields: Fields) -> TrafficPolicy:
    if not fields.has("trafficPolicy"):
        return NO_POLICY
    return read_traffic_policy(fields.mapping("trafficPolicy"))


def _read_subsets(fields: Fields) -> tuple[Subset, ...]:
    found: dict[str, Subset] = {}
    for subset in fields.mappings("subsets"):
        name = subset.text("name")
        if not is_label(name):
            subset.error("name", f"{name!r} is not a subset's name", "use letters, digits and -")
        if name in found:
            subset.error("name", f"the subset {name} is there twice", "rename one of them")
        found[name] = Subset(name, read_labels(subset, "labels"), _read_policy(subset))
        subset.close()
    return tuple(found.values())
