"""A request's path in its one spelling, so that what is judged is what the app is asked for.

Envoy 1.40's ``normalize_path``, ``merge_slashes`` and ``path_with_escaped_slashes_action``
(`source/common/http/path_utility.cc`, and Chromium's URL canonicalizer, which it calls):
parameters of dot segments are dropped, backslashes become slashes, escaped unreserved characters
(RFC 3986 section 2.3) are written out, a percent sign that would thereby begin an escape is escaped
itself, as are characters that no path may hold, and then dot segments are removed (section 5.2.4).
The query is left as it is. Escapes keep the case of their digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from meshproxy.model.paths import PathNormalization

Normalize = Callable[[bytes], "bytes | None"]
"""From a path with its query to the same in its one spelling; None: it has none."""

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# Paths that need nothing: no escapes, no dots after a slash; a query may hold what it likes.
_PLAIN: Final = re.compile(rb"(?:/(?!\.)[!$&-.0-;=@-\[\]_a-z~]*)+(?:\?[^#]*)?", re.DOTALL)
_PLAIN_MERGED: Final = re.compile(rb"(?:/(?![./])[!$&-.0-;=@-\[\]_a-z~]*)+(?:\?[^#]*)?", re.DOTALL)
_HEX: Final = b"0123456789abcdefABCDEF"
_ODD: Final = re.compile(rb"%[0-9A-Fa-f]{2}|[^!$&-;=?-\[\]_a-z~]")
_PARAMETERS = re.compile(rb"/(\.\.?);[^/]*")  # /..;x/ means what /../ does to some apps
_NESTED = re.compile(rb"\0(?=[0-9A-Fa-f]{2})")
_SLASH, _BACKSLASH = re.compile(rb"%2[Ff]"), re.compile(rb"%5[Cc]")
_SLASHES = re.compile(rb"/{2,}")


def compile_normalization(kind: PathNormalization) -> Normalize:
    """The fast form: most paths need nothing, and that is seen at a glance."""
    if kind is PathNormalization.NONE:
        return _refuse_fragment
    merge = kind is not PathNormalization.BASE
    decode = kind is PathNormalization.DECODE_AND_MERGE_SLASHES

    plain = (_PLAIN_MERGED if merge else _PLAIN).fullmatch

    def normalize(target: bytes) -> bytes | None:
        if plain(target) is not None:
            return target
        return _normalize(target, merge, decode)

    return normalize


def _refuse_fragment(target: bytes) -> bytes | None:
    """Envoy takes no request with a ``#``, whatever else it is told."""
    return None if b"#" in target else target


def _normalize(target: bytes, merge: bool, decode: bool) -> bytes | None:
    if target == b"*":
        return target  # OPTIONS of the server as a whole
    if target[:1] != b"/" or b"#" in target:
        return None
    path, mark, query = target.partition(b"?")
    if decode and b"%" in path:
        path = _BACKSLASH.sub(rb"\\", _SLASH.sub(b"/", path))
    if b";" in path:
        path = _PARAMETERS.sub(rb"/\1", path)
    path = path.replace(b"\\", b"/")
    if b"%00" in path or b"\0" in path:
        return None
    path = _ODD.sub(_write, path)
    if b"\0" in path:
        path = _NESTED.sub(b"%25", path).replace(b"\0", b"%")
    if b"/." in path:
        path = _without_dots(path)
    if merge and b"//" in path:
        path = merge_slashes(path)
    return path + mark + query


def _write(match: re.Match[bytes]) -> bytes:
    """An escape as it has to be, or a character escaped.

    A percent sign that begins no escape is marked by a zero: what follows it, once written out, may
    make it look like one.
    """
    found = match[0]
    if found == b"%":
        return b"\0"
    if len(found) == 1:
        return b"%%%02X" % found[0]
    character = bytes((int(found[1:], 16),))
    return character if character in _UNRESERVED else found


def _without_dots(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4, of a path that begins with a slash."""
    kept: list[bytes] = []
    segments = path[1:].split(b"/")
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def merge_slashes(path: bytes) -> bytes:
    """``//`` as ``/``; of nothing but slashes two are left, as Envoy has it."""
    merged = _SLASHES.sub(b"/", path)
    return b"//" if merged == b"/" and len(path) > 1 else merged


def reference_normalization(kind: PathNormalization, target: bytes) -> bytes | None:
    """What a compiled normalization must answer, said one character at a time."""
    if b"#" in target:
        return None
    if kind is PathNormalization.NONE or target == b"*":
        return target
    if not target.startswith(b"/"):
        return None
    end = target.find(b"?")
    path, query = (target, b"") if end < 0 else (target[:end], target[end:])
    decode = kind is PathNormalization.DECODE_AND_MERGE_SLASHES
    written = _written(_without_parameters(path, decode))
    if written is None:
        return None
    kept = _kept(written.split(b"/")[1:])
    if kind is not PathNormalization.BASE:
        filled = [part for part in kept if part]
        if filled != kept and (filled or len(kept) > 1):
            final = [b""] if kept[-1] == b"" else []
            kept = filled + final if filled else [b"", *final]
    return b"/" + b"/".join(kept) + query


def _without_parameters(path: bytes, decode: bool) -> bytes:
    """Dot segments without what stands after a semicolon."""
    if decode:
        path = path.replace(b"%2f", b"/").replace(b"%2F", b"/")
        path = path.replace(b"%5c", b"\\").replace(b"%5C", b"\\")
    parts = path.split(b"/")
    for at, part in enumerate(parts):
        start, _, _ = part.partition(b";")
        if start in (b".", b".."):
            parts[at] = start
    return b"/".join(parts)


def _written(path: bytes) -> bytes | None:
    """Characters and escapes each as they have to be."""
    units: list[bytes] = []
    at = 0
    while at < len(path):
        unit = path[at : at + 1]
        digits = path[at + 1 : at + 3]
        if unit == b"%" and len(digits) == 2 and all(each in _HEX for each in digits):
            value = int(digits, 16)
            if value == 0:
                return None
            unit = bytes((value,)) if value in _UNRESERVED else unit + digits
            at += 2
        elif unit == b"\0":
            return None
        elif unit == b"\\":
            unit = b"/"
        elif unit in b'"<>^`{|}' or not 0x21 <= unit[0] <= 0x7E:
            unit = b"%%%02X" % unit[0]
        units.append(unit)
        at += 1
    found = b""
    for number, unit in enumerate(units):
        after = units[number + 1 : number + 3]
        hexadecimal = len(after) == 2 and all(len(each) == 1 and each in _HEX for each in after)
        found += b"%25" if unit == b"%" and hexadecimal else unit
    return found


def _kept(parts: list[bytes]) -> list[bytes]:
    """Segments without dots; a last one that was a dot leaves a slash behind."""
    kept: list[bytes] = []
    for number, part in enumerate(parts):
        if part == b"..":
            kept = kept[:-1]
        elif part != b".":
            kept.append(part)
        if part in (b".", b"..") and number == len(parts) - 1:
            kept.append(b"")
    return kept
