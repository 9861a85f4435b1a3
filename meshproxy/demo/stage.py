"""What differs between the two ways to show the mesh, and what they share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import meshproxy
from meshproxy.demo.certificates import certificates_of
from meshproxy.demo.files import examples, open_folder, publish, yaml_texts
from meshproxy.demo.run import Run
from meshproxy.demo.shop import Pod, Service, Shop
from meshproxy.demo.system import program

# What the order front was told by the inventory: who was called, which pod answered, who asked it.
Calls = Sequence[Mapping[str, str]]
SPLIT_FILE = "inventory-split.yaml"
_CHECKOUT = Path(meshproxy.__file__).resolve().parents[1]


class Stage(Protocol):
    """Pods and their addresses, and how programs are started beside them."""

    @property
    def shop(self) -> Shop: ...

    def describe(self) -> str:
        """One line: what there is."""
        ...

    def around(self) -> AbstractContextManager[None]:
        """Where the demo itself must be to reach the pods."""
        ...

    def app(self, pod: Pod, argv: list[str]) -> list[str]:
        """The command line that runs an app in a pod."""
        ...

    def sidecar(self, pod: Pod) -> list[str]:
        """The command line of a pod's sidecar."""
        ...

    def door(self, pod: Pod, service: Service) -> tuple[str, int]:
        """Where an app in the pod calls a service."""
        ...

    def status(self, pod: Pod) -> tuple[str, int]:
        """Where the sidecar is asked whether it is ready."""
        ...

    def metrics(self, pod: Pod) -> tuple[str, int]:
        """Where it is asked for its counts."""
        ...

    def proof(self, calls: Calls) -> str:
        """How the traffic came to the sidecars, as text to print."""
        ...

    def hints(self) -> list[str]:
        """Commands for those who want to look around."""
        ...


def lay_out(run: Run, config: dict[str, str]) -> None:
    """Put the configuration and the apps where every user can read them."""
    folder = open_folder(run.folder / "config")
    for name, text in config.items():
        publish(folder / name, text)
    apps = open_folder(run.folder / "apps")
    for source in sorted((examples() / "apps").glob("*.py")):
        publish(apps / source.name, source.read_text(encoding="utf-8"))


def demo_texts() -> dict[str, str]:
    return yaml_texts(examples() / "demo")


def app_argv(run: Run, pod: Pod) -> list[str]:
    return [sys.executable, str(run.folder / "apps" / f"{pod.app}.py")]


def proxy(run: Run, pod: Pod, *arguments: str) -> list[str]:
    """A sidecar's; one worker is enough for so little traffic."""
    common = ["--config", str(run.folder / "config"), "--concurrency", "1"]
    common += ["--certs", str(certificates_of(run, pod))]
    return program("proxy", *common, "--drain-duration", "2s", *arguments)


def various(calls: Calls, name: str) -> str:
    """The values that a field has had: ``v1 and v2``."""
    return " and ".join(sorted({call[name] for call in calls}))


def import_from_checkout() -> None:
    """Let the programs that we start find this package where it is not installed."""
    if _CHECKOUT.name not in ("site-packages", "dist-packages"):
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{_CHECKOUT}:{known}" if known else str(_CHECKOUT)
