"""The AuthorizationPolicies that reach the workload.

Istio `pilot/pkg/model/authorization.go`: those of the root namespace and of the workload's own,
with a selector that takes it or without one.
"""

from __future__ import annotations

from meshproxy.model.policy import Action, Policy
from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.scope import Self
from meshproxy.translate.assembly.security import reaches
from meshproxy.translate.kinds.authorization_policy import AuthorizationPolicy

_UNUSABLE = "unusable-policy"
_CONSEQUENCE = {
    "ALLOW": "can't be relied on, and therefore allows nothing",
    "DENY": "can't be relied on, and therefore denies everything",
    "CUSTOM": "can't be relied on, and therefore denies everything",
}


def reaching_policies(
    catalog: Catalog, self_: Self, root: str, remarks: Remarks
) -> tuple[Policy, ...]:
    """In the order in which they are asked: those of the root namespace, then by name.

    Names sort as they stand in Envoy's configuration, so that of several that match the same one is
    named.
    """
    found = []
    for entry in catalog.all(AuthorizationPolicy):
        policy = entry.value
        if policy.targeted or not reaches(policy.meta, policy.selector, self_, root):
            continue
        if policy.fault:
            _remark(entry, remarks)
        found.append(_policy(entry))
    found.sort(
        key=lambda each: (each.namespace != root, f"ns[{each.namespace}]-policy[{each.name}]")
    )
    return tuple(found)


def _policy(entry: Entry[AuthorizationPolicy]) -> Policy:
    policy = entry.value
    return Policy(
        policy.meta.namespace,
        policy.meta.name,
        Action(policy.action),
        policy.rules,
        policy.dry_run,
        policy.fault,
        entry.origin,
    )


def _remark(entry: Entry[AuthorizationPolicy], remarks: Remarks) -> None:
    policy = entry.value
    text = _CONSEQUENCE.get(policy.action, "")
    if not policy.decides:
        text = "can't be relied on: what it would say is not told"
    remarks.warn(entry, ("spec",), text, "", _UNUSABLE)
