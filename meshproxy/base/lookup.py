"""Tables that find a host's or a path's entry without looking at every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")
_HTTP_PORT = 80


def host_of(authority: bytes) -> str:
    """The host name of a Host header or `:authority`: lower case, without its port."""
    text = authority.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def host_and_port(authority: bytes) -> str:
    """``shop`` → ``shop:80``: the host name with its port, as tables by port have it."""
    digits = authority.decode("latin-1").rpartition("]")[2].partition(":")[2]
    return f"{host_of(authority)}:{digits or _HTTP_PORT}"


class HostTable(Generic[T]):
    """Host name → entry: the exact name, else the longest ``*.suffix``, else ``*`` (Envoy's order).

    ``remember`` spellings of the authority are kept with their answer, because the same few come
    all the time; a stranger who sends new ones only makes the memory start over. ``by_port``:
    domains end in ``:PORT``; elsewhere the port of the authority is not looked at. A table that is
    filled bit by bit with `add` is not asked before it is whole.
    """

    def __init__(
        self, entries: Iterable[tuple[str, T]] = (), remember: int = 1024, by_port: bool = False
    ) -> None:
        self._exact: dict[str, T] = {}
        self._suffixes: dict[str, T] = {}
        self._any: T | None = None
        self._lengths: list[int] = []  # of suffixes, the longest first
        self._remember = remember
        self._key = host_and_port if by_port else host_of
        self._known: dict[bytes, T | None] = {}
        for domain, entry in entries:
            self.add(domain, entry)

    def add(self, domain: str, entry: T) -> None:
        # The first to claim a name keeps it, as translation puts the most specific first.
        if domain == "*":
            self._any = entry if self._any is None else self._any
        elif domain.startswith("*"):
            self._suffixes.setdefault(domain[1:], entry)
            if len(domain) - 1 not in self._lengths:
                self._lengths = sorted([*self._lengths, len(domain) - 1], reverse=True)
        else:
            self._exact.setdefault(domain, entry)

    def find(self, authority: bytes) -> T | None:
        try:
            return self._known[authority]
        except KeyError:
            pass
        if len(self._known) >= self._remember:
            self._known.clear()
        entry = self._known[authority] = self.find_host(self._key(authority))
        return entry

    def find_host(self, host: str) -> T | None:
        entry = self._exact.get(host)
        if entry is not None:
            return entry
        for length in self._lengths:
            # A wildcard stands for at least one character.
            if length < len(host):
                entry = self._suffixes.get(host[-length:])
                if entry is not None:
                    return entry
        return self._any


def reference_find_host(entries: Iterable[tuple[str, T]], host: str) -> T | None:
    """What `HostTable.find_host` must answer, said plainly."""
    matching = [
        (domain != "*" and not domain.startswith("*"), len(domain), entry)
        for domain, entry in entries
        if domain == "*"
        or domain == host
        or (domain[0] == "*" and len(domain) <= len(host) and host.endswith(domain[1:]))
    ]
    best = max(matching, key=lambda found: found[:2], default=None)
    return None if best is None else best[2]


class PathTable(Generic[T]):
    """Ordered rules for paths, cut into buckets by the path's first segment.

    The first rule in declared order wins, so a bucket holds every rule that could match a path with
    its key, in that order. ``key(rule)`` is the whole first segment that a rule demands, or None
    where it could match more than one.
    """

    def __init__(self, rules: list[T], key: Callable[[T], bytes | None]) -> None:
        keyed = [(key(rule), rule) for rule in rules]
        self._any = [rule for segment, rule in keyed if segment is None]
        self._buckets = {
            wanted: [rule for segment, rule in keyed if segment is None or segment == wanted]
            for wanted in {segment for segment, _ in keyed if segment is not None}
        }

    def candidates(self, path: bytes) -> list[T]:
        """The rules that could match, in order."""
        return self._buckets.get(first_segment(path), self._any)


def first_segment(path: bytes) -> bytes:
    """``/api/v1?x`` → ``api``; a path without a second slash gives all up to its query."""
    end = path.find(b"/", 1)
    if end < 0:
        end = path.find(b"?", 1)
        return path[1:] if end < 0 else path[1:end]
    query = path.find(b"?", 1, end)
    return path[1 : end if query < 0 else query]
