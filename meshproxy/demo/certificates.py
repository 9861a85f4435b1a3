"""A certificate for each service account, from the authority that the program brings along."""

from __future__ import annotations

import os
from pathlib import Path

from meshproxy.demo.errors import DemoError
from meshproxy.demo.files import open_folder
from meshproxy.demo.run import Run
from meshproxy.demo.shop import Pod, Shop
from meshproxy.demo.system import last_line, program, run

_LIFE = "24h"  # as Istio's


def certificates_of(run_: Run, pod: Pod) -> Path:
    """The folder for ``--certs``."""
    return run_.folder / "certs" / pod.account


def issue(run_: Run, shop: Shop, owner: int | None = None) -> None:
    """Make an authority, and what every pod needs. ``owner``: the user whose the keys are."""
    authority = str(run_.folder / "ca")
    _ca("init", authority)
    open_folder(run_.folder / "certs")
    for identity, folder in {pod.identity: certificates_of(run_, pod) for pod in shop.pods}.items():
        _ca(
            "issue", "--ca", authority, "--out", str(folder), "--identity", identity, "--ttl", _LIFE
        )
        if owner is not None:
            os.chown(folder / "key.pem", owner, owner)


def _ca(*arguments: str) -> None:
    done = run(program("ca", *arguments))
    if done.returncode != 0:
        raise DemoError(f"Certificates can't be made: {last_line(done)}.")
