"""Regular expressions of the configuration: RE2, as Istio and Envoy have them.

RE2 takes time linear in its input, whatever the expression: with a backtracking engine a caller
could stall a worker with one long path. The library is only loaded where an expression is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compile_pattern(pattern: str) -> Any:
    """A compiled RE2 pattern over bytes. Raises ``ValueError`` saying what is wrong with it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def full_match(pattern: str) -> Callable[[bytes], bool]:
    """A predicate that holds where the whole text matches."""
    match = compile_pattern(pattern).fullmatch
    return lambda text: match(text) is not None
