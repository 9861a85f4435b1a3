"""Compiles the data path with mypyc: the same Python, half the processor time for a request.

    python scripts/compile.py DIRECTORY     compile DIRECTORY/meshproxy in place
    python scripts/compile.py --copy TO     copy this checkout to TO and compile it there, unless
                                            TO is up to date

Sources stay beside what is made of them, and everything works without: a missing compiler costs
speed alone. Compile what is installed or copied, never the checkout itself, where a stale library
would hide an edited source. Exit status 3: no compiler, or no Python headers.

What is compiled is what runs for each request, not what reads configuration.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_ROOMS = {
    "": ("record",),
    "aio": ("http2", "outbox", "protocol", "timers"),
    "base": ("errors", "lookup"),
    "cluster": ("balance", "endpoints", "pool"),
    "export": ("log_writer",),
    "plan": ("hosts", "plan", "sinks"),
    "policy": ("attributes", "checks", "judge", "texts"),
    "route": ("match", "rewrite", "split", "table"),
    "serve": (
        "admission",
        "exchange",
        "gate",
        "headers",
        "http1",
        "http2",
        "ledger",
        "local",
        "resend",
        "serving",
        "stream",
        "tcp",
        "visit",
    ),
    "telemetry": ("access_log", "log_parts", "metrics", "operators"),
    "tls": ("layer",),
    "upstream": ("http1", "http2", "stream", "tcp", "upgrading", "upstreams", "waiter"),
    "wire": (
        *("chunked", "framing", "grpc", "h1", "h1_fast", "h1_reference", "h1_write", "heads"),
        *("h2", "h2_control", "h2_fast", "h2_floods", "h2_frames", "h2_heads", "h2_reference"),
        *("h2_sender", "hpack_decoder", "hpack_encoder", "hpack_tables", "huffman", "paths"),
        *("sniff", "upgrade"),
    ),
}
SOURCES = [
    "/".join(filter(None, ("meshproxy", room, f"{name}.py")))
    for room, names in _ROOMS.items()
    for name in names
]

NO_COMPILER = 3
_PACKAGES = ("h11", "h2", "hpack", "httptools", "uvloop")
_ROOT = Path(__file__).resolve().parents[1]
_COPIED = (
    *("benchmarks", "examples", "iptables", "meshproxy", "scripts", "tests", "docs"),
    *("pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"),
)
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
setup(name="meshproxy", packages=[], py_modules=[], ext_modules=mypycify({sources!r}))
"""


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--copy", to]:
            return copy_and_compile(Path(to).resolve())
        case [directory] if not directory.startswith("-"):
            return compile_in(Path(directory).resolve())
    print(__doc__, file=sys.stderr)
    return 2


def copy_and_compile(to: Path) -> int:
    """A compiled copy of the checkout, made anew when a source, Python or this script changed."""
    stamp, key = to / ".stamp", _key()
    if stamp.exists() and stamp.read_text(encoding="ascii") == key:
        return 0
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in _COPIED:
        source = _ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "results")
            shutil.copytree(source, to / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, to / name)
    status = compile_in(to)
    if status == 0:
        stamp.write_text(key, encoding="ascii")
    return status


def compile_in(directory: Path) -> int:
    """Put libraries beside the sources in ``directory/meshproxy``."""
    problem = _missing()
    if problem:
        print(f"compile: {problem}: the data path runs interpreted", file=sys.stderr)
        return NO_COMPILER
    with tempfile.TemporaryDirectory(prefix="meshproxy-compile-") as folder:
        place = Path(folder)
        shutil.copytree(
            directory / "meshproxy",
            place / "meshproxy",
            ignore=shutil.ignore_patterns("__pycache__", "*.so"),
        )
        (place / "setup.py").write_text(_SETUP.format(sources=SOURCES), encoding="utf-8")
        # Its types are checked by `make lint`; here some packages' stubs may be missing.
        (place / "mypy.ini").write_text("[mypy]\nignore_missing_imports = True\n", encoding="ascii")
        done = subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
            cwd=place,
            env={**os.environ, "CFLAGS": "-O2 -g0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            print(done.stdout[-4000:], file=sys.stderr)
            print("compile: failed", file=sys.stderr)
            return 1
        for library in place.glob("**/*.so"):
            inside = library.relative_to(place)
            if inside.parts[0] != "build":
                shutil.copy(library, directory / inside)
    return 0


def _missing() -> str:
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "no Python headers (Debian: python3-dev)"
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        return "no C compiler (Debian: gcc, libc6-dev)"
    try:
        import mypyc.build  # noqa: F401
        import setuptools  # noqa: F401
    except ImportError:
        return "mypy and setuptools are not installed"
    # What is compiled without knowing a class that it extends does not work.
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed, which the data path uses (requirements.lock)"
    return ""


def _key() -> str:
    """What the copy depends on."""
    found = hashlib.sha256(sys.version.encode())
    for name in _COPIED:
        source = _ROOT / name
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for path in files:
            if path.is_file() and path.suffix not in {".pyc", ".so"}:
                found.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
