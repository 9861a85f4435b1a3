"""``meshproxy.dev/v1alpha1`` Settings: this sidecar's own knobs (`model/settings.py`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields as fields_of
from ipaddress import ip_network
from typing import Any

from meshproxy.base.addr import parse_server, split_servers
from meshproxy.model.settings import DEFAULTS, ProxyProtocol
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import read_selector
from meshproxy.translate.kinds.meta import Meta

_QUANTITY = re.compile(r"(\d{1,12})(k|M|G|Ki|Mi|Gi)\Z")
_SCALES = {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_LEAST = {"h2_ping_timeout": 0.1}  # seconds, where none at all makes no sense
_LARGEST = 2**53  # what JSON can say exactly


@dataclass(frozen=True, slots=True)
class SettingsObject:
    """``values`` are the fields of `Settings` that it sets."""

    meta: Meta
    selector: Mapping[str, str] | None
    values: Mapping[str, Any]


def camel_case(name: str) -> str:
    """``max_h2_streams`` → ``maxH2Streams``."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def read_settings(top: Fields, meta: Meta) -> SettingsObject:
    fields = top.mapping("spec")
    values: dict[str, Any] = {}
    for field in fields_of(DEFAULTS):
        name, default = camel_case(field.name), getattr(DEFAULTS, field.name)
        if not fields.has(name):
            continue
        if isinstance(default, bool):
            values[field.name] = fields.flag(name)
        elif isinstance(default, float):
            values[field.name] = fields.duration(name, default, _LEAST.get(field.name, 0.0))
        elif isinstance(default, int):
            values[field.name] = _read_number(fields, name, default)
        elif isinstance(default, ProxyProtocol):
            values[field.name] = _read_proxy_protocol(fields.mapping(name))
        else:
            values[field.name] = fields.text(name)
    _check_servers(fields)
    found = SettingsObject(meta, read_selector(fields), values)
    fields.close()
    return found


def _read_number(fields: Fields, name: str, default: int) -> int:
    """A whole number, or a quantity as Kubernetes writes it (``256Ki``).

    0 only where the default is 0: there it stands for "no limit".
    """
    value = fields.raw(name)
    quantity = _QUANTITY.match(value) if isinstance(value, str) else None
    if quantity is not None:
        return int(quantity[1]) * _SCALES[quantity[2]]
    return fields.integer(name, default, 0 if default == 0 else 1, _LARGEST)


def _read_proxy_protocol(fields: Fields) -> ProxyProtocol:
    required, optional = _read_ports(fields, "required"), _read_ports(fields, "optional")
    both = sorted(set(required) & set(optional))
    if both:
        fields.error("optional", f"port {both[0]} is required already", "name it once")
    trusted = []
    for at, text in enumerate(fields.texts("trusted")):
        try:
            trusted.append(str(ip_network(text)))
        except ValueError as error:
            path, mend = (*fields.at("trusted"), at), "10.0.0.0/8, fd00::/8 or 10.0.0.7"
            fields.report.error(path, f"is not a subnet: {error}", mend)
    if (required or optional) and not fields.items("trusted"):
        fields.error("trusted", "is required", "the subnets of those that may name a client")
    fields.close()
    return ProxyProtocol(required, optional, tuple(trusted))


def _read_ports(fields: Fields, name: str) -> tuple[int, ...]:
    found = []
    for at, port in enumerate(fields.items(name)):
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
            fields.report.error((*fields.at(name), at), f"{port!r} is not a port", "1 to 65535")
        else:
            found.append(port)
    return tuple(found)


def _check_servers(fields: Fields) -> None:
    for server in split_servers(fields.text("dnsServers")):
        if parse_server(server) is None:
            text = f"{server!r} is not the address of a name server"
            fields.error("dnsServers", text, "10.0.0.10, 10.0.0.10:5353 or [fd00::a]:53")
