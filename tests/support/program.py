"""A server program of others as a child process, on a configuration in a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.peers import Peer, wait_until


def answers(port: int) -> bool:
    """Whether somebody accepts there."""
    try:
        Peer.connect(port).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def running(
    command: Callable[[Path], Sequence[str]], port: int, files: Mapping[str, bytes | str] = {}
) -> Iterator[Path]:
    """Its folder, once it listens on ``port``. ``files`` are put there; what it printed is shown
    when the block fails. ``{folder}`` in a text stands for the folder."""
    folder = Path(tempfile.mkdtemp(prefix="program-"))
    folder.chmod(0o755)
    for name, content in files.items():
        if isinstance(content, str):
            content = content.replace("{folder}", str(folder)).encode()
        (folder / name).write_bytes(content)
    output = folder / "output"
    with output.open("wb") as out:
        popen = subprocess.Popen(
            command(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder
        )
    try:
        wait_until(lambda: popen.poll() is not None or answers(port), f"a listener on {port}")
        assert popen.poll() is None, f"{popen.args!r} has ended"
        yield folder
    except BaseException as error:
        error.add_note(f"--- its output\n{output.read_text(encoding='utf-8', errors='replace')}")
        raise
    finally:
        popen.terminate()
        popen.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
