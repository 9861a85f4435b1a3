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


def test_who_asks_twice_in_one_translation_gets_the_same() -> None:
    memo = Memo()
    thing = Thing()
    first = memo.get("a", (thing,), object)
    assert memo.get("a", (thing,), object) is first
    assert memo.stage("b", (thing,), lambda _: first) is memo.stage("b", (thing,), object)


def test_what_was_not_asked_for_is_forgotten() -> None:
    memo = Memo()
    first = memo.get("a", (), object)
    memo.turn()
    memo.turn()
    assert memo.get("a", (), object) is not first


def test_inputs_are_only_asked_for_where_their_sources_are_others() -> None:
    memo = Memo()
    asked: list[str] = []

    def derived(source: object, found: str) -> object:
        def inputs() -> tuple[str]:
            asked.append(found)
            return (found,)

        return memo.derived("a", (source,), inputs, object)

    source, other = Thing(), Thing()
    first = derived(source, "x")
    memo.turn()
    assert derived(source, "x") is first
    memo.turn()
    assert asked == ["x"]
    assert derived(other, "x") is first, "another source that comes to the same"
    memo.turn()
    assert derived(Thing(), "y") is not first
    assert asked == ["x", "x", "y"]


def test_a_stage_is_kept_whole_and_remembers_what_is_inside() -> None:
    memo = Memo()
    made: list[str] = []

    def one(inner: Memo, name: str, thing: Thing) -> object:
        return inner.get(name, (thing,), lambda: made.append(name) or object())

    def stage(*things: Thing) -> list[object]:
        return memo.stage(
            "all",
            things,
            lambda inner: [one(inner, str(at), thing) for at, thing in enumerate(things)],
        )

    a, b, c = Thing(), Thing(), Thing()
    first = stage(a, b)
    for _ in range(3):
        memo.turn()
        assert stage(a, b) is first
    assert made == ["0", "1"]
    memo.turn()
    second = stage(a, c)
    assert (second[0] is first[0], second[1] is first[1]) == (True, False)
    assert made == ["0", "1", "1"], "what has not changed inside was still known"


def test_a_stage_that_was_not_asked_for_is_forgotten() -> None:
    memo = Memo()
    first = memo.stage("a", (), lambda inner: inner.get("b", (), object))
    memo.turn()
    memo.turn()
    assert memo.stage("a", (), lambda inner: inner.get("b", (), object)) is not first
