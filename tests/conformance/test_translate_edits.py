"""Istio's sample files, changed at random and read by the loader: taken whole, or refused whole."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.model.snapshot import Snapshot
from meshproxy.runtime.configuration import Configuration
from meshproxy.translate import Options, Problem, Severity
from tests.support import conformance
from tests.unit.translate.support import ME
from tests.unit.translate.test_random_edits import edit, scribbled

CORPUS = "istio-samples"
_ROOT = conformance.folder(CORPUS)
pytestmark = pytest.mark.skipif(
    _ROOT is None, reason=f"no conformance data: {conformance.VARIABLE} names no {CORPUS}"
)
TOGETHER = 4  # files of a directory; one of them is changed
EDITS = 100


def samples() -> list[Path]:
    assert _ROOT is not None
    found = sorted(_ROOT.rglob("*.yaml"))
    return [file for file in found if file.name not in ("expectations.yaml", "README.yaml")]


def changed(text: str, rng: random.Random) -> str:
    """One edit more: half of them to the values, half to the text."""
    documents: list[Any] = list(yaml.safe_load_all(text))
    documents = [copy.deepcopy(each) for each in documents if each is not None]
    if rng.random() < 0.5 or not documents:
        return scribbled(text, rng)
    edit(documents, rng)
    return str(yaml.safe_dump_all(documents, allow_unicode=True))


@pytest.mark.parametrize("seed", range(EDITS))
def test_a_sample_with_an_edit(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    chosen = rng.sample(samples(), TOGETHER)
    for at, file in enumerate(chosen):
        text = file.read_text(encoding="utf-8")
        (tmp_path / f"{at}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "me.yaml").write_text(ME, encoding="utf-8")
    configuration = Configuration(str(tmp_path), Options(workload=("default", "me")))
    before = snapshot(configuration)
    victim = tmp_path / "0.yaml"
    whole = victim.read_text(encoding="utf-8")
    victim.write_text(changed(whole, rng), encoding="utf-8")
    # Read by the loader that has just read the whole ones, as at a reload.
    reading, translation, problems = configuration.load()
    errors = [each for each in problems if each.severity is Severity.ERROR]
    taken = translation is not None and translation.snapshot is not None
    assert taken is not bool(errors), [str(each) for each in errors]
    assert reading.fingerprint
    for problem in problems:
        check_place(problem, tmp_path)
    # What was refused has left nothing behind.
    victim.write_text(whole, encoding="utf-8")
    assert snapshot(configuration) == before


def snapshot(configuration: Configuration) -> Snapshot:
    _, translation, problems = configuration.load()
    assert translation is not None, [str(each) for each in problems]
    assert translation.snapshot is not None, [str(each) for each in problems]
    return translation.snapshot


def check_place(problem: Problem, folder: Path) -> None:
    """Every problem has a sentence, and a line that its file has."""
    assert problem.text
    file = Path(problem.file)
    assert file.parent == folder, str(problem)
    assert 1 <= problem.line <= file.read_text(encoding="utf-8").count("\n") + 1, str(problem)
