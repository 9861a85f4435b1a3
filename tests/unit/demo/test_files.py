"""Filling in the example files, and putting them where sidecars read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshproxy.demo import files
from meshproxy.demo.errors import DemoError
from meshproxy.demo.files import examples, fill, open_folder, publish, yaml_texts
from meshproxy.translate import Options, Severity, SourceText, Translator


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("port: 8080", "port: 8081"),
        ("defaultEndpoint: 127.0.0.1:8080", "defaultEndpoint: 127.0.0.1:8081"),
        ("port: 18080", "port: 18080"),
        ("port: 80800", "port: 80800"),
        ("v8080", "v8080"),
        ("podIP: 10.77.0.2", "podIP: 127.77.0.2"),
        ("podIP: 10.77.0.21", "podIP: 10.77.0.21"),
        ("podIP: 110.77.0.2", "podIP: 110.77.0.2"),
        ("url: 10.77.0.2:8080/", "url: 127.77.0.2:8081/"),
    ],
)
def test_whole_words_are_replaced(text: str, filled: str) -> None:
    assert fill(text, {"8080": "8081", "10.77.0.2": "127.77.0.2"}) == filled


def test_words_may_trade_places() -> None:
    assert fill("8080 8081", {"8080": "8081", "8081": "8080"}) == "8081 8080"


def test_nothing_to_fill_in() -> None:
    assert fill("port: 8080", {}) == "port: 8080"


def test_a_published_file_is_whole_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    before = os.umask(0o077)
    try:
        publish(path, "one")
        first = path.stat().st_ino
        publish(path, "two")
        folder = open_folder(tmp_path / "folder")
    finally:
        os.umask(before)
    assert path.read_text(encoding="utf-8") == "two"
    assert path.stat().st_ino != first, "replaced, not written over"
    assert path.stat().st_mode & 0o777 == 0o644
    assert folder.stat().st_mode & 0o777 == 0o755
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.yaml", "folder"]


def test_missing_examples_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "_PLACES", (tmp_path / "one", tmp_path / "two"))
    with pytest.raises(DemoError, match=r"should be in .*two\."):
        examples()


@pytest.mark.parametrize("pod", ["order", "inventory-v1", "inventory-v2", "echo"])
@pytest.mark.parametrize("folders", [("demo",), ("demo", "plain-ports")], ids="+".join)
def test_the_examples_are_understood_without_a_word(pod: str, folders: tuple[str, ...]) -> None:
    texts = [
        SourceText(name, text)
        for folder in folders
        for name, text in yaml_texts(examples() / folder).items()
    ]
    found = Translator(Options(workload=("shop", pod))).run(texts)
    assert found.snapshot is not None
    assert [problem for problem in found.problems if problem.severity is not Severity.NOTE] == []
