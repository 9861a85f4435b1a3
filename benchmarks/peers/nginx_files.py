"""An nginx that keeps all its files in one folder and needs no rights."""

from __future__ import annotations

from pathlib import Path

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_command(program: str, folder: Path, workers: int, http: str) -> list[str]:
    """Write the configuration; the command that runs it in the foreground."""
    paths = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in _TEMPORARY)
    file = folder / "nginx.conf"
    file.write_text(f"""\
worker_processes {workers};
pid {folder / "pid"};
daemon off;
error_log stderr;
events {{ worker_connections 2048; }}
http {{
{paths}
access_log off;
keepalive_requests 1000000000;
keepalive_timeout 600s;
{http}
}}
""")
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(file)]
