"""``v1`` Endpoints and ``discovery.k8s.io/v1`` EndpointSlice: who answers for a service."""

from __future__ import annotations

from dataclasses import dataclass

from meshproxy.base.addr import is_ip, parse_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta

_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Backend:
    """One address; ``pod`` is the name of the pod there, "" if it is not said."""

    address: str
    ready: bool = True
    pod: str = ""


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """Backends that serve the same ports: pairs of port name and number."""

    meta: Meta
    service: str
    ports: tuple[tuple[str, int], ...]
    backends: tuple[Backend, ...]

    def port(self, name: str) -> int:
        """The number under a name; 0 if there is none."""
        for known, number in self.ports:
            if known == name:
                return number
        return 0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The sets of a `v1` Endpoints object, or the one of an EndpointSlice."""

    meta: Meta
    sets: tuple[EndpointSet, ...]


def read_endpoints(top: Fields, meta: Meta) -> Endpoints:
    sets = []
    for subset in top.mappings("subsets"):
        backends = [
            backend
            for name, ready in (("addresses", True), ("notReadyAddresses", False))
            for entry in subset.mappings(name)
            if (backend := _backend(entry, "ip", entry.text("ip"), ready)) is not None
        ]
        sets.append(EndpointSet(meta, meta.name, _ports(subset), tuple(backends)))
    return Endpoints(meta, tuple(sets))


def read_endpoint_slice(top: Fields, meta: Meta) -> Endpoints:
    service = meta.labels.get(_SERVICE_LABEL, "")
    if not service:
        top.mapping("metadata").warn(
            "labels", f"without the label {_SERVICE_LABEL} this slice belongs to no service"
        )
    if top.choice("addressType", ("IPv4", "IPv6", "FQDN"), "IPv4") == "FQDN":
        top.warn("addressType", "host names are not looked up: these endpoints are left out")
        top.skip("endpoints", "ports")
        return Endpoints(meta, ())
    backends = [
        backend for entry in top.mappings("endpoints") for backend in _slice_backends(entry)
    ]
    return Endpoints(meta, (EndpointSet(meta, service, _ports(top), tuple(backends)),))


def _slice_backends(entry: Fields) -> list[Backend]:
    """An unset condition means ready (EndpointConditions)."""
    ready = entry.mapping("conditions").flag("ready", True)
    found = []
    for address in entry.texts("addresses"):
        backend = _backend(entry, "addresses", address, ready)
        if backend is not None:
            found.append(backend)
    return found


def _backend(entry: Fields, name: str, address: str, ready: bool) -> Backend | None:
    if not is_ip(address):
        entry.error(name, f"{address!r} is not an IP address")
        return None
    target = entry.mapping("targetRef")
    pod = target.text("name") if target.text("kind") == "Pod" else ""
    return Backend(parse_ip(address), ready, pod)


def _ports(fields: Fields) -> tuple[tuple[str, int], ...]:
    return tuple(
        (port.text("name"), number)
        for port in fields.mappings("ports")
        if port.text("protocol", "TCP") == "TCP" and (number := port.port("port"))
    )
