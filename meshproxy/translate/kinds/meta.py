"""What every Kubernetes object has: its kind, name, namespace, labels and annotations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from meshproxy.translate.fields import Fields

DEFAULT_NAMESPACE = "default"  # what kubectl takes where none is given
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:\d\d)\Z")


@dataclass(frozen=True, slots=True)
class Meta:
    """``created`` sorts as text: RFC 3339 in UTC, "" where unknown."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts the oldest first, then by name and namespace (Istio)."""
        return (self.created, self.name, self.namespace)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def read_meta(kind: str, top: Fields) -> Meta:
    """The object's metadata; the rest of `metadata` is Kubernetes' own business."""
    fields = top.mapping("metadata")
    return Meta(
        kind,
        fields.text("namespace") or DEFAULT_NAMESPACE,
        fields.text("name"),
        fields.words("labels"),
        fields.words("annotations"),
        _created(fields),
    )


def _created(fields: Fields) -> str:
    text = fields.text("creationTimestamp")
    if not text:
        return ""
    try:
        if not _TIME.match(text):
            raise ValueError(text)
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    except (ValueError, OverflowError):
        fields.warn(
            "creationTimestamp", f"{text!r} is not a time", "write it as 2024-01-31T12:00:00Z"
        )
        return ""


def says_mutual(labels: Mapping[str, str]) -> bool | None:
    """Whether a workload takes the mesh's mutual TLS, if its label says so or says that not."""
    said = labels.get("security.istio.io/tlsMode")
    return None if said is None else said == "istio"


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels hold everything that a selector asks for; an empty one selects all."""
    return all(labels.get(name) == value for name, value in selector.items())
