"""Flags that injection templates pass to `pilot-agent` and that have no meaning here.

A template that names another image must work by changing the image alone, so these are left out
instead of refused; at debug level it is said which.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

# Flags of pilot-agent that stand alone; every other one takes a value.
_SWITCHES = frozenset({"--log_as_json", "--profiling", "--log_stacktrace"})


def without_foreign(
    arguments: Sequence[str], known: Collection[str], words: Collection[str]
) -> tuple[list[str], list[str]]:
    """What this program understands, and what was left out.

    ``known`` are the options it has, ``words`` its arguments that are no options.
    """
    kept: list[str] = []
    dropped: list[str] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        name, equals, _ = argument.partition("=")
        if not argument.startswith("-"):
            # A word that is none of ours is the role of another kind of proxy.
            (kept if argument in words or _is_value(kept, known) else dropped).append(argument)
        elif name in known:
            kept.append(argument)
        else:
            dropped.append(argument)
            value = arguments[at + 1] if at + 1 < len(arguments) else "-"
            takes_value = not equals and name not in _SWITCHES
            if takes_value and value not in words and not value.startswith("-"):
                dropped.append(value)
                at += 1
        at += 1
    return kept, dropped


def _is_value(kept: list[str], known: Collection[str]) -> bool:
    """Whether the next word is the value of the option before it."""
    return bool(kept) and kept[-1] in known
