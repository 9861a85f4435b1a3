"""The package stands alone: it ships in an init container, without the sidecar."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import iptables

FILES = sorted(Path(iptables.__file__).parent.rglob("*.py"))
# Where the outside begins; everything else is given values and gives values.
MAY_TOUCH_THE_HOST = {
    "cli.py",
    "execute.py",
    "host.py",
    "namespace.py",
    "netlink.py",
    "probe.py",
    "report.py",
    "__main__.py",
}
HOST = {"os", "socket", "subprocess", "signal", "shutil", "pwd", "grp", "ctypes", "sys", "time"}


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level names of everything that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_imports(file: Path) -> None:
    names = set(imported(ast.parse(file.read_text(encoding="utf-8"))))
    outside = names - set(sys.stdlib_module_names) - {"iptables"}
    assert outside <= ({"pyroute2"} if file.name == "netlink.py" else set())
    assert not names & HOST or file.name in MAY_TOUCH_THE_HOST


def test_what_a_start_loads() -> None:
    code = "import sys, iptables.cli; print(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"meshproxy", "pyroute2", "asyncio", "click"} & set(done.stdout.split())
