"""The app behind the proxies: an nginx that answers 1 KiB, as version v1 and v2 on two ports."""

from __future__ import annotations

from pathlib import Path

from benchmarks.machine.ports import Ports
from benchmarks.machine.processes import Process
from benchmarks.machine.tools import find
from benchmarks.peers.nginx_files import nginx_command

BODY_BYTES = 1024


def body(version: str) -> str:
    return version + "." * (BODY_BYTES - len(version))


def start_upstream(folder: Path, ports: Ports, cpus: tuple[int, ...]) -> tuple[Process, int, int]:
    """Its process, and the ports of v1 and v2."""
    program = find("nginx")
    v1, v2 = ports.take(), ports.take()
    servers = "\n".join(
        f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{body(version)}"; }} }}'
        for version, port in (("v1", v1), ("v2", v2))
    )
    command = nginx_command(program, folder, 1, servers)
    process = Process("the upstream", command, cpus, folder / "stderr")
    return process, v1, v2
