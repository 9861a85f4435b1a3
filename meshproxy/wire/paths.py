"""A request's path in its one spelling, so that what is judged is what the app is asked for.

Envoy 1.40's ``normalize_path``, ``merge_slashes`` and ``path_with_escaped_slashes_action``
(`source/common/http/path_utility.cc`, and Chromium's URL canonicalizer, which it calls):
backslashes become slashes, escaped unreserved characters (RFC 3986 section 2.3) are written out,
characters that no path may hold are escaped, and then dot segments are removed (section 5.2.4). The
query is left as it is. Escapes keep the case of their digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from meshproxy.model.paths import PathNormalization

Normalize = Callable[[bytes], "bytes | None"]
"""From a path with its query to the same in its one spelling; None: it has none."""

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# What stands in a path and a query as it is; a path of nothing else has no escape and no backslash.
_PLAIN = _UNRESERVED + b"!$&'()*+,/:;=@[]?"
_HEX = b"0123456789abcdefABCDEF"
_ODD = re.compile(rb"%[0-9A-Fa-f]{2}|[^!$%-;=?-\[\]_a-z~]")
_ESCAPED = re.compile(rb"%(?:2[Ff]|5[Cc])")
_SLASHES = re.compile(rb"/{2,}")


def compile_normalization(kind: PathNormalization) -> Normalize:
    """The fast form: most paths need nothing, and that is seen at a glance."""
    if kind is PathNormalization.NONE:
        return _refuse_fragment
    merge = kind is not PathNormalization.BASE
    decode = kind is PathNormalization.DECODE_AND_MERGE_SLASHES

    def normalize(target: bytes) -> bytes | None:
        if (
            not target.translate(None, _PLAIN)
            and b"/." not in target
            and (not merge or b"//" not in target)
            and target[:1] == b"/"
        ):
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
        path = _ESCAPED.sub(b"/", path)
    path = path.replace(b"\\", b"/")
    if b"%00" in path:
        return None
    path = _ODD.sub(_write, path)
    if b"/." in path:
        path = _without_dots(path)
    if merge and b"//" in path:
        path = merge_slashes(path)
    return path + mark + query


def _write(match: re.Match[bytes]) -> bytes:
    """An escape as it has to be, or a character escaped."""
    found = match[0]
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
    written = b""
    at = 0
    while at < len(path):
        escape = path[at : at + 3]
        digits = escape[1:]
        if escape[:1] == b"%" and len(digits) == 2 and all(each in _HEX for each in digits):
            value = int(digits, 16)
            slash = value in b"/\\" and kind is PathNormalization.DECODE_AND_MERGE_SLASHES
            if value == 0:
                return None
            written += b"/" if slash else bytes((value,)) if value in _UNRESERVED else escape
            at += 3
            continue
        character = path[at : at + 1]
        if character == b"\\":
            written += b"/"
        elif character in b'"<>^`{|}' or not 0x21 <= character[0] <= 0x7E:
            written += b"%%%02X" % character[0]
        else:
            written += character
        at += 1
    segments: list[bytes] = []
    parts = written.split(b"/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part in (b".", b".."):
            segments = segments[:-1] if part == b".." else segments
            segments += [b""] if last else []
        else:
            segments.append(part)
    if kind is not PathNormalization.BASE:
        filled = [part for part in segments if part]
        if filled != segments and (filled or len(segments) > 1):
            first, final = not filled, segments[-1] == b""
            segments = ([b""] if first else []) + filled + ([b""] if final else [])
    return b"/" + b"/".join(segments) + query
