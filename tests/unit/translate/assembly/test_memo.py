"""What was built from the same things is not built again."""

from __future__ import annotations

from meshproxy.translate.assembly.memo import Memo


class Thing:
    """Compared by identity, as typed objects are."""


def test_only_what_changed_is_made() -> None:
    memo = Memo()
    made: list[str] = []
    thing = Thing()

    def build(key: str, *inputs: object) -> object:
        return memo.get(key, inputs, lambda: made.append(key) or object())

    first = build("a", thing, 1, ("x", (thing,)))
    build("b", thing)
    memo.turn()
    assert build("a", thing, 1, ("x", (thing,))) is first
    build("b", Thing())
    assert made == ["a", "b", "b"]


def test_equal_plain_values_are_the_same_and_equal_objects_are_not() -> None:
    memo = Memo()
    first = memo.get("a", ("x" * 50, 1.5, None, True), object)
    memo.turn()
    assert memo.get("a", ("x" * 50, 1.5, None, True), object) is first
    for other in (("x" * 50, 1.5, None, 1), ("x" * 50, 1.5, None), ("x" * 50, 1.5, {}, True)):
        memo.turn()
        assert memo.get("a", other, object) is not first


def test_what_was_not_asked_for_is_forgotten() -> None:
    memo = Memo()
    first = memo.get("a", (), object)
    memo.turn()
    memo.turn()
    assert memo.get("a", (), object) is not first
