"""One raw object to one typed one: the kind's reader is looked up and its findings are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshproxy.translate.documents import Raw
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.authorization_policy import read_authorization_policy
from meshproxy.translate.kinds.destination_rule import read_destination_rule
from meshproxy.translate.kinds.endpoints import read_endpoint_slice, read_endpoints
from meshproxy.translate.kinds.mesh_config import (
    read_config_map,
    read_istio_operator,
    read_mesh_document,
)
from meshproxy.translate.kinds.meta import Meta, read_meta
from meshproxy.translate.kinds.peer_authentication import read_peer_authentication
from meshproxy.translate.kinds.pod import read_pod
from meshproxy.translate.kinds.request_authentication import read_request_authentication
from meshproxy.translate.kinds.secret import read_secret
from meshproxy.translate.kinds.service import read_service
from meshproxy.translate.kinds.service_entry import read_service_entry
from meshproxy.translate.kinds.settings import read_settings
from meshproxy.translate.kinds.sidecar import read_sidecar
from meshproxy.translate.kinds.telemetry import read_telemetry
from meshproxy.translate.kinds.virtual_service import read_virtual_service
from meshproxy.translate.kinds.workload_entry import read_workload_entry
from meshproxy.translate.problems import (
    UNSUPPORTED,
    Finding,
    Report,
    Severity,
    did_you_mean,
    nearest,
)

Reader = Callable[[Fields, Meta], Any]
_NETWORKING = ("v1", "v1beta1", "v1alpha3")
_SECURITY = ("v1", "v1beta1")
# API groups whose kinds mean something to a mesh, so that one that is not read is worth a word.
_MESH_GROUPS = ("istio.io", "gateway.networking.k8s.io", "meshproxy.dev")

_ISTIO = "istio.io"
_CLOSING_GROUP = "security.istio.io"


class Kind(NamedTuple):
    """How a kind is read.

    ``strict``: fields beside ``spec`` that nobody asks for are reported. A reader may also find
    that an object is none of a sidecar's business, and answer None.
    """

    reader: Reader
    versions: tuple[str, ...]
    strict: bool = True


KINDS: dict[tuple[str, str], Kind] = {
    ("", "Service"): Kind(read_service, ("v1",)),
    ("", "Pod"): Kind(read_pod, ("v1",)),
    ("", "Endpoints"): Kind(read_endpoints, ("v1",)),
    ("discovery.k8s.io", "EndpointSlice"): Kind(read_endpoint_slice, ("v1",)),
    ("networking.istio.io", "WorkloadEntry"): Kind(read_workload_entry, _NETWORKING),
    ("networking.istio.io", "ServiceEntry"): Kind(read_service_entry, _NETWORKING),
    ("networking.istio.io", "VirtualService"): Kind(read_virtual_service, _NETWORKING),
    ("networking.istio.io", "DestinationRule"): Kind(read_destination_rule, _NETWORKING),
    ("networking.istio.io", "Sidecar"): Kind(read_sidecar, _NETWORKING),
    ("security.istio.io", "PeerAuthentication"): Kind(read_peer_authentication, _SECURITY),
    ("security.istio.io", "AuthorizationPolicy"): Kind(read_authorization_policy, _SECURITY),
    ("security.istio.io", "RequestAuthentication"): Kind(read_request_authentication, _SECURITY),
    ("telemetry.istio.io", "Telemetry"): Kind(read_telemetry, ("v1", "v1alpha1")),
    ("meshproxy.dev", "Settings"): Kind(read_settings, ("v1alpha1",)),
    ("", "Secret"): Kind(read_secret, ("v1",), strict=False),
    ("", "MeshConfig"): Kind(read_mesh_document, ("v1alpha1",), strict=False),
    ("", "ConfigMap"): Kind(read_config_map, ("v1",), strict=False),
    ("install.istio.io", "IstioOperator"): Kind(read_istio_operator, ("v1alpha1",), strict=False),
}
# MeshConfig has no API group of its own; whatever stands there, it is this one.
_ANY_GROUP = "MeshConfig"
_NAMELESS = (_ANY_GROUP, "IstioOperator")


@dataclass(frozen=True, slots=True)
class Reading:
    """``value``: the typed object; None where there is none, or it can't be used."""

    meta: Meta
    value: Any
    findings: tuple[Finding, ...]
    skipped: bool = False

    @property
    def subject(self) -> str:
        return str(self.meta)


def read_object(raw: Raw) -> Reading:
    """Read an object once; the next time, its text being the same, the answer is at hand."""
    if raw.reading is None:
        raw.reading = _read(raw)
        raw.data = {}  # its text can be parsed again; the values are a burden from here on
    reading: Reading = raw.reading
    return reading


def _read(raw: Raw) -> Reading:
    report = Report()
    top = Fields(raw.data, (), report)
    name: str = raw.data["kind"]
    meta = read_meta(name, top)
    kind = _kind(top, top.text("apiVersion"), name)
    if kind is None:
        return Reading(meta, None, tuple(report.findings), skipped=True)
    if not meta.name and name not in _NAMELESS:
        top.mapping("metadata").error("name", "is required")
    value = kind.reader(top, meta)
    if kind.strict:
        top.skip("status")
        top.close()
    skipped = value is None and not report.findings
    return Reading(meta, None if report.failed else value, tuple(report.findings), skipped)


def _kind(top: Fields, api_version: str, name: str) -> Kind | None:
    """How to read it; None, with a finding that says why, where it is not read."""
    top.known.add("kind")
    if name == _ANY_GROUP:
        return KINDS["", name]
    group, _, version = api_version.rpartition("/")
    kind = KINDS.get((group, name))
    if kind is None:
        _say_skipped(top, group, name)
        return None
    if version not in kind.versions:
        known = [f"{group}/{known}".lstrip("/") for known in kind.versions]
        if api_version:
            mend = did_you_mean(api_version, known)
            top.error("apiVersion", f"{api_version!r} is not a version of {name}", mend)
        else:
            top.error("apiVersion", "is required", f"apiVersion: {known[0]}")
    return kind


def _say_skipped(top: Fields, group: str, name: str) -> None:
    kinds = [kind for known_group, kind in KINDS if known_group == group]
    if group == _CLOSING_GROUP:
        # Istio has no other kinds there, and whatever it was meant to keep out would come in.
        top.error("kind", f"{name} is not a kind of {group}", did_you_mean(name, kinds))
        return
    meant = _meant_group(group, name)
    if meant and (not group or meant == _CLOSING_GROUP):
        mend = f"{meant}/{KINDS[meant, name].versions[0]}"
        top.error("apiVersion", f"is not that of the kind {name}", mend)
        return
    if meant or group.endswith(_MESH_GROUPS):
        near = "" if meant else nearest(name, kinds)
        text = f"{name} of {group} is not known" if meant else f"{name} is not implemented"
        top.warn(
            "apiVersion" if meant else "kind",
            f"{text} in this build and has no effect",
            f"did you mean {meant or near}?" if meant or near else "",
            UNSUPPORTED,
        )
        return
    top.report.findings.append(
        Finding(Severity.NOTE, (), f"{name} means nothing to a sidecar: skipped")
    )


def _meant_group(group: str, name: str) -> str:
    """The group that has this kind, if the one that was written is none, one of Istio's or nearly
    that: kinds of other projects have the same names, and are their own business."""
    groups = [known for known, kind in KINDS if kind == name and known]
    if groups and (not group or group.endswith(_ISTIO)):
        return groups[0]
    return nearest(group, groups)
