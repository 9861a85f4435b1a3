"""An image as a container runtime starts it, in a pod that is a network namespace.

    pod.run(image.container(["version"]))

It has a read-only root, its own processes and mounts, and of all capabilities only those that are
named. Nothing at all can be written, not even below /tmp or /dev, unless a test says so.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Image:
    """A root file system, and what its builder says about running it."""

    root: Path
    base_root: Path
    config: Mapping[str, Any]

    def container(
        self,
        arguments: Sequence[str] = (),
        *,
        entrypoint: Sequence[str] = (),
        user: str = "",
        capabilities: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        writable: Sequence[str] = (),
    ) -> list[str]:
        """The command line that runs it, as root, in whatever network namespace it is started.

        ``user`` is ``UID:GID``. ``mounts`` are folders of this machine by their place inside, to be
        read; ``writable`` are places that get an empty folder.
        """
        script = [
            "set -eu",
            *self._mount_lines(mounts or {}, writable),
            self._exec_line(
                self._argv(entrypoint, arguments),
                user or self.config["User"],
                capabilities,
                env or {},
            ),
        ]
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*unshare, "sh", "-c", "\n".join(script)]

    def _argv(self, entrypoint: Sequence[str], arguments: Sequence[str]) -> list[str]:
        # As in a pod: `command` without `args` puts both of the image's out of force.
        if entrypoint:
            return [*entrypoint, *arguments]
        return [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])]

    def _mount_lines(self, mounts: Mapping[str, Path], writable: Sequence[str]) -> list[str]:
        root = shlex.quote(str(self.root))
        lines = [
            f"mount --bind {root} {root}",
            f"echo '127.0.0.1 localhost' >{root}/etc/hosts",  # every runtime puts its own there
            f"mount -t proc proc {root}/proc",
            f"mount -t tmpfs dev {root}/dev",
        ]
        for name in DEVICES:
            lines += [f": >{root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            lines.append(f"ln -s /proc/self/fd/{number} {root}/dev/{name}")
        lines.append(f"mount -o remount,ro {root}/dev")
        for inside, folder in mounts.items():
            lines.append(f"mkdir -p {root}{inside}")
            lines.append(f"mount --bind -o ro {shlex.quote(str(folder))} {root}{inside}")
        lines += [f"mount -t tmpfs -o mode=1777 empty {root}{place}" for place in writable]
        return [*lines, f"mount -o remount,bind,ro {root}"]

    def _exec_line(
        self, argv: Sequence[str], user: str, capabilities: Sequence[str], env: Mapping[str, str]
    ) -> str:
        uid, _, gid = user.partition(":")
        kept = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())]
        command = [
            *("chroot", str(self.root), "/usr/bin/env", "-i", *variables),
            *("/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups"),
            *("--inh-caps=-all", f"--bounding-set={kept}", "--no-new-privs", "--", *argv),
        ]
        return f"exec {shlex.join(command)}"

    def bytes_above_base(self) -> int:
        """The size of all files that the base does not have, or has otherwise."""
        base = _files(self.base_root)
        return sum(file[0] for name, file in _files(self.root).items() if base.get(name) != file)


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            found[str(path.relative_to(root))] = (status.st_size, status.st_mtime_ns)
    return found
