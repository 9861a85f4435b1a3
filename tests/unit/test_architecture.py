"""The import graph is the flow graph: rooms have ranks, and imports point to lower ones.

Rooms of one rank know nothing of each other either; what two of them share moves down. Ranks 0 to 3
are pure: no sockets, no clocks, no chance, no loop. `iptables/` and `meshproxy/` know nothing of
each other, except that the command line runs the init step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RANKS = {
    "base": 0,
    "model": 1,
    "wire": 1,
    "record": 1,
    "translate": 2,
    "identity": 2,
    "policy": 2,
    "route": 2,
    "cluster": 2,
    "telemetry": 2,
    "show": 2,
    "plan": 3,
    "aio": 4,
    "tls": 4,
    "upstream": 5,
    "serve": 6,
    "listen": 7,
    "sources": 7,
    "runtime": 7,
    "admin": 7,
    "export": 7,
    "demo": 7,
    "authority": 7,
    "app": 8,
    "cli": 9,
    "__main__": 10,
}
PURE = 3
IMPURE_MODULES = frozenset(
    {"asyncio", "socket", "ssl", "uvloop", "os", "threading", "time", "random", "subprocess"}
)
# Files of pure rooms that may use one of these, and why.
ALLOWED = {
    ("base/clock.py", "time"): "it is the clock",
    ("telemetry/operators.py", "time"): "formats times that it is given",
}
# Within one rank: codecs are told the model's limits, and a record is made of both.
SAME_RANK = {
    ("wire", "model"),
    ("record", "model"),
    ("record", "wire"),
    # Services around the path make one program: the supervisor's room is known to its front ends.
    ("runtime", "listen"),
    ("runtime", "export"),
    ("runtime", "sources"),
    ("tls", "aio"),
    ("show", "identity"),  # what a certificate says is shown
    ("admin", "runtime"),
}


def files() -> list[Path]:
    return sorted((ROOT / "meshproxy").rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "meshproxy").parts
    return parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module


def violations(path: Path) -> Iterator[str]:
    room = room_of(path)
    name = path.relative_to(ROOT / "meshproxy").as_posix()
    for line, module in imports(path):
        top, _, rest = module.partition(".")
        where = f"{name}:{line} imports {module}"
        if top == "iptables":
            if room not in ("cli", "__main__", "demo"):
                yield f"{where}: the init step is run by the command line alone"
        elif top != "meshproxy":
            impure = top in IMPURE_MODULES and RANKS[room] <= PURE
            if impure and (name, top) not in ALLOWED:
                yield f"{where}: ranks 0 to {PURE} are pure"
        elif rest:
            other = rest.partition(".")[0]
            upward = RANKS[other] > RANKS[room]
            sideways = RANKS[other] == RANKS[room] and other != room
            if upward or (sideways and (room, other) not in SAME_RANK):
                yield f"{where}: {room} is of rank {RANKS[room]}, {other} of {RANKS[other]}"


def test_every_room_has_a_rank() -> None:
    rooms = {room_of(path) for path in files()} - {"__init__"}
    assert rooms <= set(RANKS)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    if room_of(path) != "__init__":
        assert list(violations(path)) == []


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    """The test itself: what it must catch, it catches."""
    assert RANKS["wire"] < RANKS["serve"]
    bad = ast.parse("from meshproxy.serve.exchange import Exchange\nimport socket\n")
    assert isinstance(bad.body[0], ast.ImportFrom)
    fake = ROOT / "meshproxy" / "wire" / "fake.py"
    try:
        fake.write_text(ast.unparse(bad), encoding="utf-8")
        assert len(list(violations(fake))) == 2
    finally:
        fake.unlink()


def test_the_init_step_stands_alone() -> None:
    """It ships in an init container: the standard library, and pyroute2 where it is used."""
    for path in sorted((ROOT / "iptables").rglob("*.py")):
        for line, module in imports(path):
            assert not module.startswith("meshproxy"), f"{path}:{line}"


def test_modules_are_small() -> None:
    """Over 400 lines a file wants splitting."""
    sizes = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("meshproxy", "iptables")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > 400} == {}


def test_rooms_say_what_they_are() -> None:
    for folder in sorted((ROOT / "meshproxy").iterdir()):
        if folder.is_dir() and folder.name != "__pycache__":
            tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), f"{folder.name}/__init__.py has no docstring"
