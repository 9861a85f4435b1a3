"""The command line and the environment as one text per setting, and where each came from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from iptables.flags import FLAGS, LOGGING, LOGGING_SWITCHES, VARIABLES, Flag

EPILOG: Final = """\
A flag beats its variable, a variable the default; lists are comma-separated.

exit status: 0 done, or nothing to do; 1 failed, and what had been done is undone; 2 wrong flags;
126 the self-test failed.
"""


class UsageError(Exception):
    """Flags that can't be parsed; `args` are the problems, a sentence each."""


@dataclass(frozen=True, slots=True)
class Given:
    """A setting's text, and what the user would look for: the flag or the variable."""

    text: str
    where: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Argparse would print and exit; here every problem is reported, and in one place."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.")


def parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Every flag takes text: values are judged together, later, so that all can be reported."""
    made = _Parser(
        prog=prog,
        description=description,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag in FLAGS:
        names = [f"-{flag.short}"] * bool(flag.short) + [f"--{flag.name}"]
        if flag.switch:
            made.add_argument(*names, nargs="?", const="true", help=_help(flag), metavar="BOOL")
        else:
            made.add_argument(*names, help=_help(flag), metavar=_metavar(flag))
    _add_variables(made)
    _add_logging(made)
    return made


def _metavar(flag: Flag) -> str:
    words = ("ports", "port", "cidr", "interfaces", "uid", "gid", "timeout", "namespace")
    return next((word.upper() for word in words if word in flag.name), "VALUE")


def _help(flag: Flag) -> str:
    notes = [f"default {flag.default}"] if flag.default not in ("", "false") else []
    notes += [f"${name}" for name in flag.variables]
    return flag.help + (f" [{', '.join(notes)}]" if notes else "")


def _add_variables(made: argparse.ArgumentParser) -> None:
    lines = "\n".join(
        f"  {name}\n      {meaning}" + (f" [default {default}]" if default else "")
        for name, (default, meaning) in VARIABLES.items()
    )
    made.epilog = f"variables without a flag:\n{lines}\n\n{made.epilog}".replace("%", "%%")


def _add_logging(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("taken for the sake of istio-iptables, and not used")
    for name in LOGGING:
        group.add_argument(f"--{name}", metavar="TEXT", help=argparse.SUPPRESS)
    for name in LOGGING_SWITCHES:
        group.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    group.description = ", ".join(f"--{name}" for name in (*LOGGING, *LOGGING_SWITCHES))


def given(
    made: argparse.ArgumentParser, argv: Sequence[str], environ: Mapping[str, str]
) -> dict[str, Given]:
    """Every setting by name, from the strongest source that has it.

    Raises `UsageError` for flags that are not known, and `SystemExit(0)` after `--help`.
    """
    parsed, unknown = made.parse_known_args(argv)
    if unknown:
        raise UsageError(*(f"There is no flag or argument {each!r}." for each in unknown))
    values: dict[str, str | None] = vars(parsed)
    settings = {flag.name: _flag(flag, values, environ) for flag in FLAGS}
    for name, (default, _) in VARIABLES.items():
        settings[name] = Given(environ.get(name, default), name)
    return settings


def _flag(flag: Flag, values: Mapping[str, str | None], environ: Mapping[str, str]) -> Given:
    text = values[flag.name.replace("-", "_")]
    if text is not None:
        return Given(text, f"--{flag.name}")
    for name in reversed(flag.variables):
        if name in environ:
            return Given(environ[name], name)
    return Given(flag.default, f"--{flag.name}")
