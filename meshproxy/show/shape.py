"""Pieces that all of Envoy's messages share, with the names that its JSON has (api/envoy/*/v3).

What a part of the model says that Envoy has no field for stands under ``metadata``, beside the
document that the part came from, so that nothing of it is hidden.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any

from meshproxy.model.origin import BUILT_IN, Origin

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy."
ADS: Json = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
_GROUPS = {
    "VirtualService": "networking.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "ServiceEntry": "networking.istio.io/v1",
    "WorkloadEntry": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "Gateway": "networking.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Telemetry": "telemetry.istio.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
}
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def typed(name: str, body: Json) -> Json:
    """A message as Envoy's `Any` shows it; ``name`` is the type's after ``envoy.``."""
    return {"@type": _TYPES + name, **body}


def without_empty(body: Json) -> Json:
    """The message without fields that say nothing, as Envoy prints it."""
    return {name: value for name, value in body.items() if value not in (None, "", [], {})}


def socket_address(ip: str, port: int) -> Json:
    return {"socket_address": {"address": ip, "port_value": port}}


def duration(seconds: float) -> str:
    """As protobuf writes it: ``10s``, ``0.250s``."""
    if seconds == int(seconds):
        return f"{int(seconds)}s"
    return f"{seconds:.9f}".rstrip("0") + "s"


def metadata(
    origin: Origin, part: object = None, shown: tuple[str, ...] = (), **istio: Any
) -> Json:
    """A message's ``metadata``: where it came from, and what Envoy's own fields don't say.

    ``shown`` are the fields of ``part`` that the message has already. Istio's key ``config`` names
    an object as its API server would; other ``istio`` keys are passed through.
    """
    own = own_metadata(origin, part, *shown)
    config = config_path(origin)
    theirs = without_empty({"config": config, **istio})
    found = without_empty({"istio": theirs, "meshproxy": own})
    return {"filter_metadata": found} if found else {}


def own_metadata(origin: Origin, part: object = None, *shown: str) -> Json:
    """What stands under ``meshproxy``: the document, and what is not ``shown`` elsewhere."""
    found: Json = {} if origin == BUILT_IN else {"origin": origin_json(origin)}
    if part is not None:
        found.update(others(part, *shown))
    return found


def origin_json(origin: Origin) -> Json:
    """``source`` is FILE:LINE, as in log messages."""
    return without_empty(
        {
            "source": f"{origin.file}:{origin.line}",
            "file": origin.file,
            "line": origin.line,
            "kind": origin.kind,
            "namespace": origin.namespace,
            "name": origin.name,
        }
    )


def config_path(origin: Origin) -> str:
    """``/apis/networking.istio.io/v1/namespaces/NS/virtual-service/NAME`` (Istio's metadata)."""
    group = _GROUPS.get(origin.kind)
    if group is None:
        return ""
    kind = _WORDS.sub("-", origin.kind).lower()
    return f"/apis/{group}/namespaces/{origin.namespace}/{kind}/{origin.name}"


def others(part: object, *shown: str) -> Json:
    """Fields of a dataclass that are neither in ``shown`` nor as by default."""
    found = {}
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        if field.name == "origin" or field.name in shown:
            continue
        value = getattr(part, field.name)
        if value in ("", (), None) or value == _default(field):
            continue
        found[field.name] = plain(value)
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def plain(value: Any) -> Any:
    """A piece of the model as JSON: dataclasses become objects without what is as by default."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return others(value)
    if isinstance(value, Mapping):
        return {str(key): plain(found) for key, found in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return str(value)
    if isinstance(value, list | tuple | frozenset | set):
        return [plain(found) for found in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)
