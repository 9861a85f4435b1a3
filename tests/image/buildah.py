"""The image, built with buildah in a store of its own that is gone afterwards.

The base is what ``MESHPROXY_IMAGE_BASE`` names: an image, or a tar archive of a root file system.
Without it, `scripts/image_base.sh` makes one, once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.namespaces import REPOSITORY, environment, tool

BUILD_SECONDS = 900
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_ARCHIVE = _CACHE / "meshproxy" / "image-base.tar"
_IMPORTED = "localhost/meshproxy-base"
_IMAGE = "localhost/meshproxy-test"
# What pip needs to reach the index that this machine uses; none of it is copied into the image.
_SETTINGS = ("/etc/ssl/certs", "/etc/pip.conf")


class NoBaseError(Exception):
    """There is no base to build on; the text says why."""


class BuildahError(Exception):
    """A command of buildah failed; the text is the end of what it printed."""


class Buildah:
    """A store of images. Use it as a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="meshproxy-image-", dir="/var/tmp"))
        self._driver = "overlay"

    def __enter__(self) -> Self:
        try:
            self._mount_nothing()
        except BuildahError:
            self._driver = "vfs"  # slower, and works on every file system
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for command in ("umount --all", "rm --all", "rmi --all --force"):
            with contextlib.suppress(BuildahError):
                self.run(*command.split())
        # The driver's own mount; there is none with vfs.
        subprocess.run(
            ["umount", str(self._folder / "store" / "overlay")], capture_output=True, check=False
        )
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, *arguments: str) -> str:
        """What a command of buildah prints. Raises `BuildahError`."""
        argv = ["buildah", f"--root={self._folder}/store", f"--runroot={self._folder}/run"]
        done = subprocess.run(
            [*argv, f"--storage-driver={self._driver}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            env=environment(),
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()[-30:]
            raise BuildahError("\n".join(said))
        return done.stdout.strip()

    def base(self) -> str:
        """The name of the image to build on. Raises `NoBaseError`."""
        given = os.environ.get("MESHPROXY_IMAGE_BASE", "")
        if given and not Path(given).is_file():
            try:
                self.run("pull", "--quiet", given)
            except BuildahError as error:
                raise NoBaseError(f"{given} can't be pulled: {_last(str(error))}") from None
            return given
        self._import(Path(given) if given else _made_archive())
        return _IMPORTED

    def build(self, base: str) -> str:
        """Build the Dockerfile on a base; the image's name."""
        settings = [f"--volume={path}:{path}:ro" for path in _SETTINGS if os.path.exists(path)]
        self.run(
            *("bud", "--isolation=chroot", "--network=host", "--pull-never", *settings),
            *(f"--build-arg=BASE={base}", f"--tag={_IMAGE}", str(REPOSITORY)),
        )
        return _IMAGE

    def config(self, image: str) -> dict[str, Any]:
        """What a container runtime is told of it, in the words of OCI."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type=image", image))
        config: dict[str, Any] = found["OCIv1"]["config"]
        return config

    def mount(self, image: str) -> Path:
        """Its root file system."""
        container = self.run("from", "--pull-never", image)
        return Path(self.run("mount", container))

    def _import(self, archive: Path) -> None:
        container = self.run("from", "scratch")
        self.run("add", "--quiet", container, str(archive), "/")
        path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.run("config", "--cmd=python3", f"--env={path}", container)
        self.run("commit", "--quiet", "--rm", container, _IMPORTED)

    def _mount_nothing(self) -> None:
        container = self.run("from", "scratch")
        self.run("mount", container)
        self.run("rm", container)


def _made_archive() -> Path:
    if _ARCHIVE.exists():
        return _ARCHIVE
    if tool("debootstrap") is None:
        raise NoBaseError("MESHPROXY_IMAGE_BASE is not set, and debootstrap is not installed")
    done = subprocess.run(
        [str(REPOSITORY / "scripts" / "image_base.sh"), str(_ARCHIVE)],
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        env=environment(),
        check=False,
    )
    if done.returncode != 0:
        raise NoBaseError(f"debootstrap failed: {_last(done.stderr)}")
    return _ARCHIVE


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
