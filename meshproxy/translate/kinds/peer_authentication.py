"""``security.istio.io`` PeerAuthentication: whether callers must use mutual TLS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import read_selector
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.security import close_strictly
from meshproxy.translate.names import is_port

MODES = ("UNSET", "DISABLE", "PERMISSIVE", "STRICT")


@dataclass(frozen=True, slots=True)
class PeerAuthentication:
    """``mode`` UNSET: as the next wider policy says. ``fault``: why it can't be relied on."""

    meta: Meta
    selector: Mapping[str, str] | None
    mode: str
    ports: Mapping[int, str]
    fault: str = ""


def read_peer_authentication(top: Fields, meta: Meta) -> PeerAuthentication:
    fields = top.mapping("spec")
    selector = read_selector(fields)
    mode = _read_mode(fields.mapping("mtls"))
    ports: dict[int, str] = {}
    for key, value, path in fields.entries("portLevelMtls"):
        if not is_port(key):
            fields.report.error(path, f"{key!r} is not a port (1-65535)")
        elif not isinstance(value, dict):
            fields.report.error(path, "must be a mapping", "mode: STRICT")
        else:
            ports[int(key)] = _read_mode(Fields(value, path, fields.report))
    if fields.has("portLevelMtls"):
        if not fields.raw("portLevelMtls"):
            fields.error("portLevelMtls", "is empty", "name a port or remove it")
        elif selector is None:
            fields.error(
                "portLevelMtls", "needs a selector", "select the workload whose port it is"
            )
    fault = close_strictly(top, fields)
    return PeerAuthentication(meta, selector, mode, ports, fault)


def _read_mode(fields: Fields) -> str:
    mode = fields.choice("mode", MODES, "UNSET")
    fields.close()
    return mode
