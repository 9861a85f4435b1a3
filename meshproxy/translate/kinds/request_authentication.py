"""``security.istio.io`` RequestAuthentication: tokens are not verified yet, so it only closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import read_selector
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.security import close_strictly
from meshproxy.translate.kinds.target_ref import read_targets
from meshproxy.translate.problems import UNSUPPORTED


@dataclass(frozen=True, slots=True)
class RequestAuthentication:
    """``rules``: how many tokens it describes; without any it asks for nothing.

    ``fault``: why it can't be relied on.
    """

    meta: Meta
    selector: Mapping[str, str] | None
    targeted: bool
    rules: int
    fault: str = ""


def read_request_authentication(top: Fields, meta: Meta) -> RequestAuthentication:
    fields = top.mapping("spec")
    rules = len(list(fields.mappings("jwtRules")))
    selector, targeted = read_selector(fields), read_targets(fields)
    if rules and not targeted:
        text = "tokens are not verified in this build: the workload refuses everything"
        fields.warn("jwtRules", text, "", UNSUPPORTED)
    fault = close_strictly(top, fields)
    return RequestAuthentication(meta, selector, targeted, rules, fault)
