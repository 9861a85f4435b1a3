"""Two revisions of the sidecar, side by side in one run.

``python -m benchmarks.compare main my-branch``; ``.`` is the checkout as it stands, with what is
not committed. Each revision gets a git worktree in a temporary folder; the benchmarks themselves
are this checkout's for both. First the micro benchmarks in turns, then both sidecars under load.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.machine.processes import StartError
from benchmarks.micro.compare import compare_micro
from benchmarks.options import add_common, options
from benchmarks.peers.meshproxy import ROOT, meshproxy
from benchmarks.revisions import HERE, NoRevision, Revision, find_revision, worktree
from benchmarks.run import INTERRUPTED, interrupt_on_signals, run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("old", metavar="REV1", help=f"what ratios are to; {HERE} is this checkout")
    parser.add_argument("new", metavar="REV2")
    add_common(parser)
    parser.add_argument("--micro", action="store_true", help="the micro benchmarks alone")
    given = parser.parse_args(arguments)
    interrupt_on_signals()
    try:
        old, new = find_revision(ROOT, given.old), find_revision(ROOT, given.new)
        if old.name == new.name:
            new = new._replace(name=new.name + " again")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(_temporary()))
            sources = {
                each: stack.enter_context(worktree(ROOT, each, folder)) for each in (old, new)
            }
            print(
                compare_micro(*_named(sources), folder, 3 if given.quick else 6),
                end="\n\n",
                flush=True,
            )
            if given.micro:
                return 0
            peers = [meshproxy(each.name, root=root) for each, root in sources.items()]
            return run(peers, options(given), old.name)
    except (NoRevision, StartError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return INTERRUPTED


def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="meshproxy-compare-", ignore_cleanup_errors=True)


def _named(sources: dict[Revision, Path]) -> tuple[tuple[str, Path], tuple[str, Path]]:
    (old, old_root), (new, new_root) = sources.items()
    return (old.name, old_root), (new.name, new_root)


if __name__ == "__main__":
    sys.exit(main())
