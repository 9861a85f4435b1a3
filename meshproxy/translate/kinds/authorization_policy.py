"""``security.istio.io`` AuthorizationPolicy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.model.policy import Rule
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.authorization_rule import read_rule
from meshproxy.translate.kinds.common import read_selector
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.security import close_strictly
from meshproxy.translate.kinds.target_ref import read_targets
from meshproxy.translate.problems import UNSUPPORTED

ACTIONS = ("ALLOW", "DENY", "AUDIT", "CUSTOM")
_DRY_RUN = "istio.io/dry-run"
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class AuthorizationPolicy:
    """``targeted``: for gateways and waypoints alone. ``fault``: why it can't be relied on."""

    meta: Meta
    selector: Mapping[str, str] | None
    targeted: bool
    action: str
    rules: tuple[Rule, ...]
    dry_run: bool
    fault: str = ""

    @property
    def decides(self) -> bool:
        """Whether a sidecar follows it: what only watches never decides."""
        return not self.targeted and self.action != "AUDIT" and not self.dry_run


def read_authorization_policy(top: Fields, meta: Meta) -> AuthorizationPolicy:
    fields = top.mapping("spec")
    selector = read_selector(fields)
    targeted = read_targets(fields)
    action = fields.choice("action", ACTIONS, "ALLOW")
    given = list(fields.mappings("rules"))
    _check_provider(fields, action)
    if action in ("DENY", "CUSTOM") and not fields.items("rules"):
        fields.error("rules", f"{action} without rules is never triggered", "rules: [{}] for all")
    if action == "CUSTOM":
        text = "no external authorizer is asked in this build, so that everything is denied"
        fields.warn("action", text, "", UNSUPPORTED)
    rules = tuple(read_rule(rule, action) for rule in given)
    dry_run = _dry_run(top, meta, action)
    fault = close_strictly(top, fields)
    return AuthorizationPolicy(meta, selector, targeted, action, rules, dry_run, fault)


def _check_provider(fields: Fields, action: str) -> None:
    if not fields.has("provider"):
        if action == "CUSTOM":
            fields.error("provider", "is required for CUSTOM", "name an extension provider")
        return
    inner = fields.mapping("provider")
    name = inner.text("name")
    inner.close()
    if action != "CUSTOM":
        fields.error("provider", f"can't stand beside action {action}", "remove it")
    elif not name:
        inner.error("name", "is required")


def _dry_run(top: Fields, meta: Meta, action: str) -> bool:
    text = meta.annotations.get(_DRY_RUN)
    if text is None:
        return False
    annotations = top.mapping("metadata").mapping("annotations")
    if action not in ("ALLOW", "DENY"):
        annotations.error(_DRY_RUN, f"can't be used with action {action}", "remove it")
    elif text not in _TRUE + _FALSE:
        annotations.error(_DRY_RUN, f"{text!r} is neither true nor false")
    return text in _TRUE
