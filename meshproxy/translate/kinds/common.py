"""Pieces that several Istio kinds share: selectors, exportTo, gateways, destinations, ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.names import LONGEST_LABEL, host_fault, is_label

MESH_GATEWAY = "mesh"  # stands for all sidecars
LEAST_DURATION = 0.001  # Istio takes no duration below a millisecond


@dataclass(frozen=True, slots=True)
class Destination:
    """A service to send to. ``port`` 0: its only one, or the one that was called.

    ``namespace`` is where a short name stands; "": where its rule does.
    """

    host: str
    subset: str = ""
    port: int = 0
    namespace: str = ""


def read_destination(fields: Fields) -> Destination:
    host = fields.text("host")
    fault = "'*' is no destination" if host == "*" else host_fault(host, wildcard=True)
    if fault:
        fields.error("host", fault, "name a service: reviews or reviews.ns.svc.cluster.local")
    subset = fields.text("subset")
    if subset and not is_label(subset):
        fields.error("subset", f"{subset!r} is not a subset's name")
    port = 0
    if fields.has("port"):
        inner = fields.mapping("port")
        port = inner.port("number")
        if not inner.has("number"):
            inner.error("number", "is required")
        inner.close()
    fields.close()
    return Destination(host.lower(), subset, port)


def read_match_labels(fields: Fields, name: str = "matchLabels") -> dict[str, str]:
    """A selector's labels: no wildcards, no empty names."""
    labels = fields.words(name)
    for label, value in labels.items():
        path = (*fields.path, name, label)
        if not label:
            fields.report.error(path, "a label's name can't be empty", "remove it")
        if "*" in label or "*" in value:
            fields.report.error(path, "a selector takes no wildcards", "write the label out")
        elif len(value) > LONGEST_LABEL:
            fields.report.error(path, f"no label is longer than {LONGEST_LABEL} characters")
    return labels


def check_size(fields: Fields, name: str, most: int) -> None:
    """Of a list or a text: more is refused by Kubernetes already (the kinds' OpenAPI schemas)."""
    given = fields.raw(name)
    if isinstance(given, (list, str)) and len(given) > most:
        what = "characters" if isinstance(given, str) else "elements"
        fields.error(name, f"has {len(given)} {what}: {most} is the most")


def read_selector(fields: Fields, name: str = "selector") -> Mapping[str, str] | None:
    """``selector.matchLabels``; None where there is no selector or it is empty."""
    if not fields.has(name):
        return None
    inner = fields.mapping(name)
    labels = read_match_labels(inner)
    inner.close()
    if not labels:
        fields.warn(name, "a selector without labels selects every workload", "remove it")
    return labels or None


def read_export_to(fields: Fields, meta: Meta, service_entry: bool = False) -> tuple[str, ...]:
    """Namespaces that may see the object: ``.`` its own, ``*`` all, ``~`` none."""
    given = fields.texts("exportTo")
    seen: set[str] = set()
    for at, entry in enumerate(given):
        path = (*fields.at("exportTo"), at)
        namespace = meta.namespace if entry == "." else entry
        if namespace in seen:
            fields.report.error(path, f"{entry!r} is there twice", "remove one of them")
        seen.add(namespace)
        known = entry in ("*", ".") or (entry == "~" and service_entry)
        if not known and not is_label(entry):
            fields.report.error(path, f"{entry!r} is not a namespace, '.' or '*'")
    if len(given) > 1 and seen & {"*", "~"}:
        fields.error("exportTo", "'*' and '~' can't stand beside other entries")
    return given


def check_gateways(fields: Fields, name: str = "gateways") -> tuple[str, ...]:
    """Names of Gateways: ``name``, ``namespace/name``, or ``mesh``."""
    given = fields.texts(name)
    for at, gateway in enumerate(given):
        path = (*fields.at(name), at)
        namespace, slash, own = gateway.partition("/")
        if slash:
            if not is_label(namespace) or not is_label(own):
                fields.report.error(path, f"{gateway!r} is not NAMESPACE/NAME of a Gateway")
            continue
        fault = host_fault(gateway)
        if fault:
            fields.report.error(path, fault, "write NAME or NAMESPACE/NAME of a Gateway")
        elif "." in gateway:
            parts = gateway.split(".")
            fields.report.warn(path, f"{gateway!r} is an old spelling", f"{parts[1]}/{parts[0]}")
    return given


def check_subnet(fields: Fields, name: str, at: int, text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        fields.report.error((*fields.at(name), at), f"{text!r} is not an IP address or a subnet")


def check_source(fields: Fields) -> tuple[Mapping[str, str], str]:
    """``sourceLabels`` and ``sourceNamespace`` of a match."""
    from meshproxy.translate.kinds.workload_entry import read_labels

    namespace = fields.text("sourceNamespace")
    if namespace and not is_label(namespace):
        fields.error("sourceNamespace", f"{namespace!r} is not a namespace")
    return read_labels(fields, "sourceLabels"), namespace


def read_percentage(fields: Fields, name: str) -> float:
    """``{value: 12.5}``; 100 where it is missing."""
    if not fields.has(name):
        return 100.0
    inner = fields.mapping(name)
    value = inner.number("value")
    inner.close()
    if not 0.0 <= value <= 100.0:
        fields.error(name, f"{value:g} is not in 0-100")
        return 100.0
    return value
