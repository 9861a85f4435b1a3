"""Entering a namespace: what is said when that can't be. (In `netns/` it is done.)"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from iptables import namespace
from iptables.errors import Failed
from iptables.namespace import entered


def test_no_path_is_where_we_are() -> None:
    before = os.stat(namespace.OWN).st_ino
    with entered(""):
        assert os.stat(namespace.OWN).st_ino == before


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="can't be opened: No such file"), entered(f"{tmp_path}/none"):
        pass


def test_no_namespace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="can't be entered"), entered(f"{tmp_path}/file"):
        pass
