"""Istio's schemas: every field they have is known here, and no other is taken for one of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from meshproxy.translate import Library, SourceText
from meshproxy.translate.problems import UNKNOWN_FIELD
from meshproxy.translate.read import KINDS, read_object
from tests.support import conformance

CORPUS = "crds"
FILE = "crd-all.gen.yaml"
# Read only to refuse everything it is for.
OUT = {"RequestAuthentication"}
BOGUS = "bogusField"

Steps = tuple[str, ...]


@functools.cache
def _schemas() -> dict[tuple[str, str, str], dict[str, Any]]:
    text = conformance.text(CORPUS, FILE)
    return {
        (crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"]): version["schema"][
            "openAPIV3Schema"
        ]["properties"]["spec"]
        for crd in yaml.load_all(text, Loader=yaml.CSafeLoader)
        for version in crd["spec"]["versions"]
    }


def _kinds() -> list[Any]:
    if conformance.folder(CORPUS) is None:
        reason = f"no conformance data: {conformance.VARIABLE} names no folder with {CORPUS}"
        return [pytest.param(None, id="no-crds", marks=pytest.mark.skip(reason))]
    return [
        pytest.param(key, id="/".join(key))
        for key in _schemas()
        if (key[0], key[2]) in KINDS and key[2] not in OUT
    ]


def _walk(schema: dict[str, Any], steps: Steps = ()) -> Iterator[tuple[Steps, dict[str, Any]]]:
    """Every place in a schema; ``[]`` and ``{}`` stand for any element and any key."""
    yield steps, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _walk(inner, (*steps, name))
    if "items" in schema:
        yield from _walk(schema["items"], (*steps, "[]"))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _walk(schema["additionalProperties"], (*steps, "{}"))


def _leaf(schema: dict[str, Any]) -> Any:
    if schema.get("type") == "object":
        return {}
    if schema.get("type") == "array":
        return []
    if "enum" in schema:
        return schema["enum"][0]
    return {"integer": 1, "number": 1.0, "boolean": True}.get(schema.get("type", ""), "1s")


def _spec(steps: Steps, value: Any) -> Any:
    for step in reversed(steps):
        value = [value] if step == "[]" else {"8080" if step == "{}" else step: value}
    return value


def _unknown(key: tuple[str, str, str], spec: Any) -> list[str]:
    group, version, kind = key
    document = {
        "apiVersion": f"{group}/{version}",
        "kind": kind,
        "metadata": {"name": "x"},
        "spec": spec,
    }
    text = yaml.safe_dump(document)
    documents, problems = Library().read([SourceText("a.yaml", text)])
    assert not problems
    (one,) = documents
    found = []
    for finding in read_object(one.raw).findings:
        problem = one.problem(finding)
        assert problem.line >= 1
        if finding.code == UNKNOWN_FIELD:
            found.append(problem.field)
    return found


@pytest.mark.parametrize("key", _kinds())
def test_every_field_is_known(key: tuple[str, str, str]) -> None:
    missing = set()
    for steps, schema in _walk(_schemas()[key]):
        if steps:
            missing.update(_unknown(key, _spec(steps, _leaf(schema))))
    assert not missing


@pytest.mark.parametrize("key", _kinds())
def test_a_field_that_is_not_in_the_schema_is_reported(key: tuple[str, str, str]) -> None:
    """In every mapping with fixed fields, wherever it stands."""
    silent = []
    for steps, schema in _walk(_schemas()[key]):
        if "properties" in schema:
            found = _unknown(key, _spec(steps, {BOGUS: 1}))
            if not any(field.endswith(BOGUS) for field in found):
                silent.append(".".join(steps))
    assert not silent
