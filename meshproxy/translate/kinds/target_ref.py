"""``targetRef`` and ``targetRefs``: policies for gateways and waypoints, which a sidecar is not."""

from __future__ import annotations

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import check_size

_KINDS = {
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
}


def read_targets(fields: Fields) -> bool:
    """Whether there is a target; it can't stand beside a selector (Istio API)."""
    given = [name for name in ("selector", "targetRef") if fields.has(name)]
    given += ["targetRefs"] if fields.items("targetRefs") else []
    if len(given) > 1:
        fields.error(given[1], f"only one of {', '.join(given)} can be set", "remove the others")
    if fields.has("targetRef"):
        _check(fields.mapping("targetRef"))
    for target in fields.mappings("targetRefs"):
        _check(target)
    return fields.has("targetRef") or bool(fields.items("targetRefs"))


def _check(target: Fields) -> None:
    if not target.text("name"):
        target.error("name", "targetRef name must be set")
    check_size(target, "name", 253)
    if target.text("namespace"):
        target.error("namespace", "targetRef namespace must not be set", "remove it")
    group, kind = target.text("group"), target.text("kind")
    if ("" if group == "core" else group, kind) not in _KINDS:
        wanted = ", ".join(sorted(f"{known_group}/{name}" for known_group, name in _KINDS))
        target.error("kind", f"targetRef must be to one of {wanted}; is {group}/{kind}")
    target.close()
