"""The documentation says what is so."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from meshproxy.translate import Options, SourceText, Translator

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_reference_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "scripts/settings_reference.py"))["table"]()
    assert made in (ROOT / "docs/configuration.md").read_text(encoding="utf-8")


def test_the_readmes_example_is_a_configuration() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n# mesh\.yaml\n(.*?)```", readme, re.DOTALL)
    found = Translator(Options(workload=("default", "me"))).run([SourceText("mesh.yaml", text)])
    assert found.problems == ()
    assert found.snapshot is not None
    assert [item.port for item in found.snapshot.listeners.values() if not item.captured] == [9080]


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_room_stands_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for room in (ROOT / "meshproxy").iterdir():
        if room.is_dir() and room.name != "__pycache__":
            assert f"`{room.name}`" in text or f"`{room.name}/`" in text, room.name
