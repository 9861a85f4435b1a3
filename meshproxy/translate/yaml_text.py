"""YAML text to values, and the line of a field.

libyaml composes the tree of nodes; words become values here, in one pass that also sees what the
library's own constructor lets through: a key given twice, and collections that hold themselves.
Lines are not kept for every value (that would cost more than the values). Only when a problem is
reported is the text composed again and its field looked up.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from meshproxy.translate.problems import Path
from meshproxy.translate.scalars import read_plain

MAX_DEPTH = 100  # levels of nesting; the deepest Istio schema has fewer than 20
_SUSPICIOUS = 400  # brackets and dashes before the nesting is counted

_PLAIN = "plain"
_QUOTED = "quoted"
_MERGE = "<<"
_STRING_TAGS = (_QUOTED, "tag:yaml.org,2002:str", "!")


class BrokenText(Exception):
    """Text that is not YAML. ``line`` counts from 0."""

    def __init__(self, line: int, text: str, mend: str = "") -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.mend = mend


class Loaded(NamedTuple):
    """One YAML document of a text: the line (from 0) that its content starts on, and its value.

    ``items`` has the lines of the elements under a top-level key ``items``.
    """

    line: int
    value: Any
    items: tuple[int, ...] = ()


class _Composer(CParser):
    """libyaml's composer; a scalar's tag only says whether it was quoted."""

    def resolve(self, kind: Any, value: str, implicit: Any) -> str:
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _QUOTED

    def descend_resolver(self, parent: Any, index: Any) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


def load(text: str) -> list[Loaded]:
    """All documents of a text; empty ones are left out. Raises `BrokenText`."""
    value = _load_json(text)
    if value is not None:
        return [Loaded(0, value)]
    return [
        Loaded(node.start_mark.line, _Values().of(node, 0), _item_lines(node))
        for node in _compose(text)
        if not _is_null(node)
    ]


def line_of(text: str, index: int, path: Path) -> int:
    """The line (from 0) of a field in the text's document number ``index``.

    Where a step is missing, the line of the last one that is there.
    """
    nodes = _roots(text)
    return _descend(nodes[index], path) if index < len(nodes) else 0


def _descend(node: Any, path: Path) -> int:
    line: int = node.start_mark.line
    for at, step in enumerate(path):
        if isinstance(node, yaml.ScalarNode) and node.style == "|":
            return line + 1 + line_of(node.value, 0, path[at:])  # YAML in a block of text
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


@lru_cache(maxsize=2)  # problems come text by text
def _roots(text: str) -> list[Any]:
    try:
        return [node for node in _compose(text) if not _is_null(node)]
    except BrokenText:  # JSON with tabs: no YAML, so no lines either
        return []


def forget_lines() -> None:
    """Let go of the tree that the last lines were found in."""
    _roots.cache_clear()


def _load_json(text: str) -> Any:
    """JSON's own parser is quicker, and takes tabs, which YAML does not; None: not JSON."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")  # YAML's pass says which, and on what line
    return found


def _compose(text: str) -> list[Any]:
    """The root nodes of a text."""
    nodes = []
    try:
        _check_depth(text)
        composer = _Composer(text)
        while composer.check_node():
            nodes.append(composer.get_node())
    except yaml.MarkedYAMLError as error:
        raise _broken(text, error) from None
    except yaml.reader.ReaderError as error:
        line = text.encode(errors="replace")[: error.position].count(b"\n")
        raise BrokenText(line, f"not YAML: {error.reason}", "remove the character") from None
    except yaml.YAMLError as error:
        raise BrokenText(0, f"not YAML: {error}") from None
    except (ValueError, UnicodeError) as error:  # half a surrogate pair
        raise BrokenText(0, f"not YAML: {error}") from None
    return nodes


def _broken(text: str, error: yaml.MarkedYAMLError) -> BrokenText:
    """The library's complaint, with a guess at the usual causes."""
    parts = [part for part in (error.context, error.problem) if part]
    lines = text.splitlines() or [""]
    mark = error.problem_mark
    if mark is None or mark.line >= len(lines):
        mark = error.context_mark or mark  # what was left open began there
    number = min(mark.line if mark is not None else 0, len(lines) - 1)
    mend = ""
    if "\t" in lines[number][: len(lines[number]) - len(lines[number].lstrip())]:
        mend = "indent with spaces, not tabs"
    elif "{{" in lines[number]:
        mend = "render the template first"
    return BrokenText(number, f"not YAML: {', '.join(parts) or 'broken'}", mend)


def _check_depth(text: str) -> None:
    """libyaml recurses without a bound, and would overrun the stack on a hostile text."""
    if text.count("[") + text.count("{") + text.count("- ") + text.count("? ") <= _SUSPICIOUS:
        return
    depth = 0
    events = CParser(text)
    while (event := events.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise BrokenText(_mark_line(event), f"nested over {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _item_lines(root: Any) -> tuple[int, ...]:
    found = _child(root, "items")
    if found is None or not isinstance(found[1], yaml.SequenceNode):
        return ()
    return tuple(item.start_mark.line for item in found[1].value)


def _mark_line(event: yaml.Event) -> int:
    return event.start_mark.line if event.start_mark is not None else 0


def _is_null(node: Any) -> bool:
    return node is None or (
        isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN and read_plain(node.value) is None
    )


class _Values:
    """Turns the nodes of one document into values."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        # What an anchor stands for is built once, however often it is used: copies of copies of
        # copies would fill any memory.
        self._done: dict[int, Any] = {}

    def of(self, node: Any, depth: int) -> Any:
        if node.__class__ is yaml.ScalarNode:
            if node.tag == _PLAIN:
                return read_plain(node.value)
            return _tagged(node)
        done = self._done.get(id(node))
        if done is not None:
            return done
        line = node.start_mark.line
        if depth >= MAX_DEPTH:
            raise BrokenText(line, f"nested over {MAX_DEPTH} levels deep")
        if id(node) in self._open:
            raise BrokenText(line, "an anchor stands inside itself", "write the value out")
        self._open.add(id(node))
        value: Any
        if node.__class__ is yaml.SequenceNode:
            value = [self.of(item, depth + 1) for item in node.value]
        else:
            value = self._mapping(node, depth + 1)
        self._open.discard(id(node))
        self._done[id(node)] = value
        return value

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key == _MERGE and key_node.tag == _PLAIN:
                merged.update(self._merge(value_node, depth))
                continue
            if key in found:
                raise BrokenText(
                    key_node.start_mark.line, f"the key {key} is given twice", "remove one of them"
                )
            found[key] = self.of(value_node, depth)
        return {**merged, **found} if merged else found

    def _key(self, node: Any) -> str:
        """A key as JSON has it: text, whatever it looks like."""
        if node.__class__ is not yaml.ScalarNode:
            raise BrokenText(node.start_mark.line, "a key must be text, not a list or a mapping")
        key: str = node.value
        return key

    def _merge(self, node: Any, depth: int) -> dict[str, Any]:
        """YAML merge keys: earlier mappings of a list win over later ones."""
        sources = node.value if node.__class__ is yaml.SequenceNode else [node]
        merged: dict[str, Any] = {}
        for source in reversed(sources):
            value = self.of(source, depth)
            if not isinstance(value, dict):
                raise BrokenText(source.start_mark.line, "<< takes a mapping or a list of them")
            merged.update(value)
        return merged


def _tagged(node: Any) -> Any:
    if node.tag in _STRING_TAGS:
        return node.value
    if node.tag.startswith("tag:yaml.org,2002:") and node.tag[18:] in ("int", "float", "bool"):
        return read_plain(node.value)
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:binary":
        return node.value
    raise BrokenText(
        node.start_mark.line, f"the tag {node.tag} has no meaning here", "remove the tag"
    )


def _child(node: Any, step: str | int) -> tuple[int, Any] | None:
    """The line and node one step down."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
