"""Reading files as one whole: which files count, what is said of those that can't be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from meshproxy.sources import files
from meshproxy.sources.files import look, read
from meshproxy.translate import Severity


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)


def test_a_single_file_may_have_any_name(tmp_path: Path) -> None:
    place = tmp_path / "config"
    place.write_text("a: 1\n")
    found = read(str(place))
    assert [(text.name, text.text) for text in found.texts] == [(str(place), "a: 1\n")]
    assert not found.problems


def test_files_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    write(tmp_path, b_yaml="b", a_yml="a", c_json="c")
    (tmp_path / "a").mkdir()
    write(tmp_path / "a", z_yaml="z")
    names = [Path(text.name).relative_to(tmp_path) for text in read(str(tmp_path)).texts]
    assert [str(name) for name in names] == ["a.yml", "a/z.yaml", "b.yaml", "c.json"]


@pytest.mark.parametrize(
    "name", [".a.yaml", ".a.yaml.swp", "a.yaml~", "a.txt", "4913", "README.md"]
)
def test_what_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    found = read(str(tmp_path))
    assert not found.texts
    assert [each.severity for each in found.problems] == [Severity.WARNING]
    assert "no files" in found.problems[0].text


def test_pipes_and_dangling_links_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    assert not read(str(tmp_path)).texts


def test_a_directory_inside_itself_ends(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="a")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(read(str(tmp_path)).texts) == 1


def test_a_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    mount_config_map(tmp_path, "1", {"a.yaml": "one"})
    assert [text.text for text in read(str(tmp_path)).texts] == ["one"]
    before = look(str(tmp_path))
    swap_config_map(tmp_path, "2", {"a.yaml": "two"})
    assert look(str(tmp_path)) != before
    assert [text.text for text in read(str(tmp_path)).texts] == ["two"]


def mount_config_map(folder: Path, version: str, texts: dict[str, str]) -> None:
    """As kubelet lays it out: visible links through `..data` into a dated directory."""
    swap_config_map(folder, version, texts)
    for name in texts:
        (folder / name).symlink_to(Path("..data") / name)


def swap_config_map(folder: Path, version: str, texts: dict[str, str]) -> None:
    data = folder / f"..{version}"
    data.mkdir()
    for name, text in texts.items():
        (data / name).write_text(text)
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_a_missing_place(tmp_path: Path) -> None:
    found = read(str(tmp_path / "none"))
    assert not found.texts
    (problem,) = found.problems
    assert problem.severity is Severity.ERROR
    assert problem.file == str(tmp_path / "none")
    assert "--config" in problem.mend


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\nb: \xff\n")
    write(tmp_path, b_yaml="fine")
    found = read(str(tmp_path))
    (problem,) = found.problems
    assert (problem.line, problem.text) == (2, "is not UTF-8")
    assert [text.text for text in found.texts] == ["fine"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, a_yaml="a")
    (tmp_path / "a.yaml").chmod(0)
    assert "can't be read" in read(str(tmp_path)).problems[0].text


def test_files_that_are_too_large_or_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a_yaml="aaaa", b_yaml="b", c_yaml="c")
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 3)
    monkeypatch.setattr(files, "MAX_FILES", 3)
    said = [each.text for each in read(str(tmp_path)).problems]
    assert said == ["more than 3 files", "is larger than 3 bytes"]


def during_reading(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], times: int = 1
) -> None:
    """Have something happen in the midst of the first readings."""
    real = files._read_all
    left = [times]

    def read_all(path: str, seen: files.Fingerprint, breathe: Callable[[], object]) -> object:
        result = real(path, seen, breathe)
        if left[0]:
            left[0] -= 1
            change()
        return result

    monkeypatch.setattr(files, "_read_all", read_all)


def test_a_long_file_is_read_whole_and_with_pauses(tmp_path: Path) -> None:
    text = "".join(f"a{number}: é\n" for number in range(100_000))
    write(tmp_path, a_yaml=text)
    pauses: list[None] = []
    (found,) = read(str(tmp_path), lambda: pauses.append(None)).texts
    assert found.text == text
    assert len(pauses) > 5


def test_a_swap_in_the_midst_of_reading_is_taken_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_config_map(tmp_path, "1", {"a.yaml": "a1", "b.yaml": "b1"})

    def swap() -> None:
        swap_config_map(tmp_path, "2", {"a.yaml": "a2", "b.yaml": "b2"})

    during_reading(monkeypatch, swap)
    assert [text.text for text in read(str(tmp_path)).texts] == ["a2", "b2"]


def test_files_that_never_rest_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(1000))
    write(tmp_path, a_yaml="0")
    during_reading(monkeypatch, lambda: write(tmp_path, a_yaml="1" * next(count)), times=1000)
    found = read(str(tmp_path))
    assert not found.texts
    assert "keep changing" in found.problems[0].text


def test_a_file_that_goes_while_it_is_read_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, a_yaml="a", b_yaml="b")
    during_reading(monkeypatch, (tmp_path / "a.yaml").unlink)
    found = read(str(tmp_path))
    assert [text.text for text in found.texts] == ["b"]
    assert not found.problems
