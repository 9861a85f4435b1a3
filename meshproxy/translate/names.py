"""Names of hosts, labels and namespaces: how they must look, and which host covers which.

The rules are those of Kubernetes (RFC 1123 labels) and of Istio's `pkg/config/host`, where a
wildcard is a leading ``*`` and stands for any beginning.
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?\Z")
_WILDCARD_LABEL = re.compile(r"(?:\*|(?:\*|\*-)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)\Z")
_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?\Z")
LONGEST_LABEL = 63
_LONGEST_HOST = 255


def is_label(text: str) -> bool:
    """One part of a host name (RFC 1123)."""
    return len(text) <= LONGEST_LABEL and _LABEL.match(text) is not None


def is_port(text: str) -> bool:
    """A port in digits, as text."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= 65535


def host_fault(host: str, wildcard: bool = False) -> str:
    """What is wrong with a host name, or ""; ``wildcard``: its first label may begin with ``*``."""
    if not host:
        return "is empty"
    if len(host) > _LONGEST_HOST:
        return f"is longer than {_LONGEST_HOST} characters"
    labels = host.removesuffix(".").split(".")
    first = _WILDCARD_LABEL if wildcard else _LABEL
    for at, label in enumerate(labels):
        if len(label) > LONGEST_LABEL or not (_LABEL if at else first).match(label):
            return f"{host!r} is not a host name: the part {label!r} is not a DNS label"
    if labels[-1].isdigit():
        return f"{host!r} is not a host name: its last part is a number"
    return ""


def label_fault(name: str, value: str) -> str:
    """What is wrong with a Kubernetes label, or ""."""
    if not name:
        return "a label's name can't be empty"
    if not _LABEL_NAME.match(name):
        return f"{name!r} is not a label's name"
    if len(value) > LONGEST_LABEL or not _LABEL_VALUE.match(value):
        return f"{value!r} is not a label's value"
    return ""


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def overlaps(first: str, second: str) -> bool:
    """Whether some host falls under both."""
    if is_wildcard(first):
        if is_wildcard(second):
            return first[1:].endswith(second[1:]) or second[1:].endswith(first[1:])
        return second.endswith(first[1:])
    return covers(second, first)


def covers(wide: str, narrow: str) -> bool:
    """Whether every host under ``narrow`` falls under ``wide``."""
    if not is_wildcard(wide):
        return wide == narrow
    return narrow[is_wildcard(narrow) :].endswith(wide[1:])
