"""``v1`` Pod: an endpoint, and the workload behind an address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.base.addr import is_ip, parse_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta, says_mutual

_INJECTED = "sidecar.istio.io/status"
_SIDECARS = ("istio-proxy", "meshproxy")
_CRON_JOB = re.compile(r"(.+)-\d{8,10}\Z")


@dataclass(frozen=True, slots=True)
class Pod:
    """``workload`` is what runs it (a Deployment's name); ``ports`` maps port names to numbers.

    The addresses of a pod in its node's network are the node's, and other pods' too. ``mutual``: it
    takes the mesh's mutual TLS, as it has a sidecar.
    """

    meta: Meta
    addresses: tuple[str, ...]
    ready: bool
    workload: str
    service_account: str
    ports: Mapping[str, int]
    host_network: bool = False
    mutual: bool = False


def read_pod(top: Fields, meta: Meta) -> Pod:
    spec, status = top.mapping("spec"), top.mapping("status")
    return Pod(
        meta,
        _addresses(status),
        _ready(status),
        _workload(top, meta),
        spec.text("serviceAccountName") or "default",
        _ports(spec),
        spec.flag("hostNetwork"),
        _mutual(spec, meta),
    )


def _addresses(status: Fields) -> tuple[str, ...]:
    given = [(status.text("podIP"), "podIP")]
    given += [(entry.text("ip"), "podIPs") for entry in status.mappings("podIPs")]
    found: dict[str, None] = {}
    for address, name in given:
        if address and not is_ip(address):
            status.error(name, f"{address!r} is not an IP address")
        elif address:
            found[parse_ip(address)] = None
    return tuple(found)


def _ready(status: Fields) -> bool:
    """The condition Ready; a pod written by hand, without conditions, is taken to be."""
    if status.text("phase") in ("Succeeded", "Failed"):
        return False
    for condition in status.mappings("conditions"):
        if condition.text("type") == "Ready":
            return condition.text("status") == "True"
    return True


def _ports(spec: Fields) -> dict[str, int]:
    return {
        port.text("name"): port.port("containerPort")
        for container in spec.mappings("containers")
        for port in container.mappings("ports")
        if port.has("name")
    }


def _mutual(spec: Fields, meta: Meta) -> bool:
    """Its label, which Istio's injection sets; without it, what injection leaves behind."""
    said = says_mutual(meta.labels)
    if said is not None:
        return said
    if _INJECTED in meta.annotations:
        return True
    return any(
        container.text("name") in _SIDECARS
        for name in ("containers", "initContainers")
        for container in spec.mappings(name)
    )


def _workload(top: Fields, meta: Meta) -> str:
    """The owner's name, as Istio's injector derives it (`pkg/kube/util.go`)."""
    for owner in top.mapping("metadata").mappings("ownerReferences"):
        if not owner.flag("controller"):
            continue
        name, kind = owner.text("name"), owner.text("kind")
        if kind == "ReplicaSet":
            return name.removesuffix("-" + meta.labels.get("pod-template-hash", ""))
        if kind == "ReplicationController" and "deploymentconfig" in meta.labels:
            return meta.labels["deploymentconfig"]
        if kind == "Job":
            scheduled = _CRON_JOB.match(name)
            return scheduled[1] if scheduled else name
        return name
    return meta.name
