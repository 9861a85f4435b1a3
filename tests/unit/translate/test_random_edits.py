"""Whatever is done to a configuration, the answer is a snapshot or problems with their place."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
import yaml

from meshproxy.translate import Library, Memory, Options, SourceText, translate
from meshproxy.translate.read import KINDS
from tests.unit.translate.sample import MORE, SAMPLE
from tests.unit.translate.support import translated

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, float("inf"), float("nan"), "", "*", "a b", "1s", "127.0.0.1",
    "::1", "x" * 300, "%", "{", "é", [], {}, [None], [[]], {"": ""}, {"a": {"b": []}}, [1, "a"],
    "*.example.com", "-", "1.2.3.4:99", "unix://", "0s", "9999999999h", ".", "/", "a/b/c",
)  # fmt: skip
CHARACTERS = "\t{}[]:-#&*!|>'\"%@`,?~ \x00\u2028é\n"


def test_the_sample_itself_is_fine() -> None:
    found = translated(SAMPLE)
    assert found.snapshot is not None, [str(each) for each in found.errors]
    assert set(found.snapshot.listeners) == {
        "virtualOutbound",
        "127.0.0.1_9080",
        "virtualInbound",
        "10.0.0.1_7072",
    }


EVERYTHING = f"{SAMPLE}---\n{MORE}"


def test_every_kind_is_in_the_samples() -> None:
    found = set()
    for document in yaml.safe_load_all(EVERYTHING):
        found |= {each["kind"] for each in document.get("items", [document])}
    assert found >= {kind for _, kind in KINDS}


def check(text: str, seed: str) -> None:
    library = Library()
    documents, problems = library.read([SourceText("sample.yaml", text)])
    options = Options(host_addresses=frozenset({"10.0.0.1"}), identity=True)
    found = translate(documents, options, Memory(), problems)
    assert (found.snapshot is None) == bool(found.errors), seed
    lines = text.count("\n") + 1
    for problem in found.problems:
        assert problem.text, seed
        if problem.file:
            assert 1 <= problem.line <= lines, f"{seed}: {problem}"
        else:
            assert "workload" in problem.text.lower(), f"{seed}: {problem}"
    if found.snapshot is not None:
        assert found.snapshot.listeners, seed


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return found
    return found + [each for key, inner in items for each in places(inner, (*path, key))]


def edit(documents: list[Any], rng: random.Random) -> None:
    """Put junk in one place, or take it away, or give it another name, or that of its neighbour."""
    spots = places(documents)
    path = rng.choice(spots)
    holder: Any = documents
    for step in path[:-1]:
        holder = holder[step]
    last = path[-1]
    kind = rng.randrange(4)
    if kind == 0:
        holder[last] = copy.deepcopy(rng.choice(JUNK))
    elif kind == 1:
        del holder[last]
    elif kind == 2 and isinstance(holder, dict):
        holder[rng.choice((f"{last}x", str(last)[:-1] or "y", str(last).upper()))] = holder[last]
    else:
        other: Any = documents
        for step in rng.choice(spots):
            other = other[step]
        holder[last] = copy.deepcopy(other)


def scribbled(text: str, rng: random.Random) -> str:
    """The text with lines lost, doubled, or with a character too many or another one."""
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(4)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        else:
            line = lines[at]
            spot = rng.randrange(len(line) + 1)
            lines[at] = line[:spot] + rng.choice(CHARACTERS) + line[spot + kind - 2 :]
    return "".join(lines)


@pytest.mark.parametrize("seed", range(40))
def test_values_changed_at_random(seed: int) -> None:
    rng = random.Random(seed)
    original = list(yaml.safe_load_all(EVERYTHING))
    for round_ in range(5):
        documents = copy.deepcopy(original)
        for _ in range(rng.randrange(1, 4)):
            edit(documents, rng)
        check(yaml.safe_dump_all(documents, allow_unicode=True), f"{seed}.{round_}")


@pytest.mark.parametrize("seed", range(20))
def test_text_changed_at_random(seed: int) -> None:
    rng = random.Random(seed)
    for round_ in range(5):
        check(scribbled(EVERYTHING, rng), f"{seed}.{round_}")
