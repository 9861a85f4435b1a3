"""What is said of refused connections, when there are many."""

from __future__ import annotations

import pytest

from meshproxy.base.addr import Address
from tests.support.models import outbound
from tests.support.path import DataPath

HERE = Address("10.0.0.1", 80)


def refuse(path: DataPath, word: str, times: int) -> None:
    for number in range(times):
        path.serving.refused("in", Address("10.0.0.9", number), HERE, word, f"it is {word}")


def test_a_flood_of_one_reason_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    path = DataPath(outbound())
    refuse(path, "expired", 500)
    refuse(path, "revoked", 1)
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].endswith("it is revoked")
    path.loop.advance(1.1)
    assert caplog.messages[11:] == ["refused 490 more connections within a second: expired"]
    refuse(path, "expired", 1)
    assert caplog.messages[-1].endswith("it is expired")
    assert path.plain("meshproxy_connections_refused_total", "in", "expired") == 501
