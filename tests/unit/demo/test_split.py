"""Reading and changing the weights of the VirtualService."""

from __future__ import annotations

import yaml

from meshproxy.demo.files import examples
from meshproxy.demo.split import reweighted, shown, weights

TEXT = (examples() / "demo" / "inventory-split.yaml").read_text(encoding="utf-8")


def test_the_example_is_split_nine_to_one() -> None:
    assert weights(TEXT) == {"v1": 90, "v2": 10}


def test_only_the_weights_change() -> None:
    changed = reweighted(TEXT, {"v1": 50, "v2": 50})
    assert weights(changed) == {"v1": 50, "v2": 50}
    pairs = list(zip(TEXT.splitlines(), changed.splitlines(), strict=True))
    assert [old.strip() for old, new in pairs if old != new] == ["weight: 90", "weight: 10"]
    assert yaml.safe_load(changed)["metadata"] == yaml.safe_load(TEXT)["metadata"]


def test_the_same_weights_are_the_same_text() -> None:
    assert reweighted(TEXT, weights(TEXT)) == TEXT


def test_a_subset_that_is_not_named_keeps_its_weight() -> None:
    assert weights(reweighted(TEXT, {"v2": 30})) == {"v1": 90, "v2": 30}


def test_shown() -> None:
    assert shown({"v1": 90, "v2": 10}) == "90/10"
