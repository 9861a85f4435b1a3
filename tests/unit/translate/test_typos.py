"""A key that is written wrongly is found wherever it stands, and the right one is named."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from meshproxy.translate import Severity
from tests.unit.translate.sample import MORE, SAMPLE
from tests.unit.translate.support import ME, refusal, translated

# Kubernetes' own objects have hundreds of fields that mean nothing to a sidecar.
KUBERNETES = ("Pod", "Endpoints", "EndpointSlice", "ConfigMap", "Deployment", "Secret")
# Only the kind is looked at.
UNREAD = ("EnvoyFilter", "HTTPRoute", "IstioOperator")
# Mappings whose keys are whatever somebody has called things.
FREE = (
    *("labels", "matchLabels", "selector", "annotations", "ports", "add", "set", "headers"),
    *("withoutHeaders", "queryParams", "sourceLabels", "portLevelMtls", "proxyMetadata"),
)
# Not looked into, as nothing is done with it in any case.
UNDONE = ("corsPolicy", "tracing", "jwtRules", "tcpKeepalive")
SECURITY = ("PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication")
Path = tuple[Any, ...]


def objects() -> list[dict[str, Any]]:
    found = []
    for document in (*yaml.safe_load_all(SAMPLE), *yaml.safe_load_all(MORE)):
        found += document["items"] if document["kind"] == "List" else [document]
    return [each for each in found if each["kind"] not in (*KUBERNETES, *UNREAD)]


def keys(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all keys that are fields."""
    if isinstance(value, dict):
        # Some of these names are those of mappings with fields, elsewhere.
        if path and path[-1] in FREE and not {"request", "response", "matchLabels"} & value.keys():
            return
        for key, inner in value.items():
            if key not in UNDONE:
                yield (*path, key)
                yield from keys(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from keys(inner, (*path, at))


def cases() -> list[Any]:
    found = []
    for at, each in enumerate(objects()):
        start = {"metadata", "apiVersion", "kind"}
        for path in keys({name: value for name, value in each.items() if name not in start}):
            name = ".".join(map(str, path))
            found.append(pytest.param(at, path, id=f"{each['kind']}-{at}-{name}"))
    return found


def misspelt(at: int, path: Path) -> tuple[dict[str, Any], str]:
    """The object with one key written wrongly, and how it is written now."""
    found = copy.deepcopy(objects()[at])
    holder: Any = found
    for step in path[:-1]:
        holder = holder[step]
    wrong = f"{path[-1]}x"
    holder[wrong] = holder.pop(path[-1])
    return found, wrong


@pytest.mark.parametrize(("at", "path"), cases())
def test_a_key_that_is_not_known_is_named(at: int, path: Path) -> None:
    written, wrong = misspelt(at, path)
    found = translated(yaml.safe_dump(written), ME)
    said = [each for each in found.problems if each.field.split(".")[-1].endswith(wrong)]
    assert said, [str(each) for each in found.problems]
    (problem,) = said
    assert problem.severity is not Severity.NOTE
    assert problem.line
    if problem.code == "unknown-field":
        assert problem.mend == f"did you mean {path[-1]}?"


@pytest.mark.parametrize(
    ("at", "path"),
    [case for case in cases() if any(kind in str(case.id) for kind in SECURITY)],
)
def test_a_security_object_with_such_a_key_denies(at: int, path: Path) -> None:
    written, _ = misspelt(at, path)
    found = translated(yaml.safe_dump(written), ME)
    if found.snapshot is None:
        return  # it can't be used at all, so nothing of it is
    chains = found.snapshot.listeners["virtualInbound"].chains
    assert all(chain.deny for chain in chains) or all(refusal(found.snapshot))
