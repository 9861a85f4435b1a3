"""``networking.istio.io`` WorkloadEntry: a workload that no pod stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.base.addr import is_ip, parse_ip
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.meta import Meta, says_mutual
from meshproxy.translate.names import host_fault, is_label, label_fault

UNIX = "unix://"
_LONGEST_ACCOUNT = 253  # a name's, in Kubernetes


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """``address`` is an IP address, a host name, ``unix://PATH``, or "" (another network's).

    ``service_account`` "" is not known. ``locality`` is ``REGION/ZONE/SUBZONE``, as far as it is
    known. ``mutual``: it takes the mesh's mutual TLS.
    """

    meta: Meta
    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    service_account: str
    weight: int = 1
    locality: str = ""
    mutual: bool = False


def read_workload_entry(top: Fields, meta: Meta) -> WorkloadEntry:
    if not top.has("spec"):
        top.error("spec", "is required", "give it an address")
    fields = top.mapping("spec")
    entry = read_endpoint(fields, meta)
    if not entry.address and fields.has("network"):
        text = (
            "without one the workload is reached through its network's gateway, which is not done"
        )
        fields.warn("address", f"{text}: it is left out", "an IP address or a host name")
    fields.close()
    return entry


def read_endpoint(fields: Fields, meta: Meta) -> WorkloadEntry:
    """A workload, also as it stands among the endpoints of a ServiceEntry."""
    labels = {**meta.labels, **read_labels(fields, "labels")}
    account, said = fields.text("serviceAccount"), says_mutual(labels)
    if len(account) > _LONGEST_ACCOUNT:
        fields.error("serviceAccount", f"is longer than {_LONGEST_ACCOUNT} characters")
    entry = WorkloadEntry(
        meta,
        read_address(fields),
        read_ports(fields),
        labels,
        account,
        max(1, fields.integer("weight", 1)),
        fields.text("locality"),
        bool(account) if said is None else said,  # Istio: whoever has an account has a sidecar
    )
    fields.later("network", "locality")
    return entry


def read_address(fields: Fields) -> str:
    address = fields.text("address")
    if not address:
        if not fields.has("network"):
            fields.error("address", "is required", "an IP address, a host name or unix://PATH")
        return ""
    if address.startswith(UNIX):
        check_unix(fields, "address", address)
        if fields.raw("ports"):
            fields.error("ports", "a unix socket has no ports", "remove them")
        fields.later("address")
        return address
    if is_ip(address):
        return parse_ip(address)
    fault = host_fault(address)
    if fault:
        fields.error("address", f"{fault}, nor is it an IP address")
    return address.lower()


def check_unix(fields: Fields, name: str, address: str) -> None:
    """``unix:///absolute/file`` or ``unix://@abstract``."""
    path = address.removeprefix(UNIX)
    if not path.startswith("@") and (not path.startswith("/") or path.endswith("/")):
        fields.error(
            name,
            f"{address} is not the path of a socket",
            "write unix:///absolute/path or unix://@name",
        )


def read_ports(fields: Fields) -> dict[str, int]:
    """Port names to numbers."""
    found: dict[str, int] = {}
    for name, value, path in fields.entries("ports"):
        if not is_label(name):
            fields.report.error(path, f"{name!r} is not a port's name", "use letters, digits and -")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
            fields.report.error(path, f"{value!r} is not a port (1-65535)")
        else:
            found[name] = value
    return found


def read_labels(fields: Fields, name: str) -> dict[str, str]:
    """Labels in Kubernetes' syntax."""
    found = fields.words(name)
    for label, value in found.items():
        fault = label_fault(label, value)
        if fault:
            fields.report.error((*fields.path, name, label), fault)
    return found
