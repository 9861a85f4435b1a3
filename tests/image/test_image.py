"""What is in the image, and that its commands run on a root that can't be written."""

from __future__ import annotations

import json
import re

import pytest

from meshproxy import __version__
from tests.image.container import Image
from tests.support.namespaces import REPOSITORY, Pod

pytestmark = pytest.mark.image

MOST_MEGABYTES = 120
# As Istio's injection template writes them.
RULES = [
    *("-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", ""),
    *("-b", "*", "-d", "15090,15021,15020", "--log_output_level=default:info"),
]
PYTHON = "/opt/meshproxy/bin/python"

BYTECODE = """
import importlib.util, pathlib, sys
for source in pathlib.Path("/opt/meshproxy/lib").rglob("*.py"):
    cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
    # Bit 0: known by a hash and not by a time; bit 1: the hash is compared.
    if not cached.exists() or cached.read_bytes()[4] != 1:
        print(source)
"""
INSTALLED = """
import importlib.metadata, sysconfig
for found in importlib.metadata.distributions(path=[sysconfig.get_path("purelib")]):
    print(f"{found.name.lower().replace('_', '-')}=={found.version}")
"""


def run(image: Image, pod: Pod, *argv: str) -> str:
    """What a program of the image prints."""
    done = pod.run(image.container(argv[1:], entrypoint=argv[:1]))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_entry_point(image: Image, pod: Pod) -> None:
    done = pod.run(image.container(["version"]))
    assert (done.returncode, done.stdout) == (0, f"meshproxy {__version__}\n"), done.stderr


def test_without_arguments_it_says_what_it_can(image: Image, pod: Pod) -> None:
    assert "clean-iptables" in pod.run(image.container()).stdout


@pytest.mark.parametrize(
    "command",
    [
        ["istio-iptables"],
        ["pilot-agent", "istio-iptables"],
        ["meshproxy", "iptables"],
        ["meshproxy", "istio-iptables"],
    ],
    ids=" ".join,
)
def test_the_init_step_under_all_its_names(image: Image, pod: Pod, command: list[str]) -> None:
    assert "-A ISTIO_REDIRECT" in run(image, pod, *command, *RULES, "--dry-run")


@pytest.mark.parametrize("command", [["istio-clean-iptables"], ["pilot-agent", "version"]])
def test_other_names(image: Image, pod: Pod, command: list[str]) -> None:
    arguments = ["--dry-run"] if command == ["istio-clean-iptables"] else []
    assert run(image, pod, *command, *arguments)


def test_it_runs_as_1337(image: Image, pod: Pod) -> None:
    assert run(image, pod, "id").split()[:2] == ["uid=1337(istio-proxy)", "gid=1337(istio-proxy)"]
    capabilities = re.findall(r"Cap\w+:\s+(\w+)", run(image, pod, "cat", "/proc/self/status"))
    assert {int(each, 16) for each in capabilities} == {0}


def test_the_init_step_has_two_capabilities(image: Image, pod: Pod) -> None:
    """The test itself, as the next one: the container of the other tests is what it claims."""
    argv = image.container(
        ["/proc/self/status"], entrypoint=["cat"], user="0:0", capabilities=["NET_ADMIN", "NET_RAW"]
    )
    done = pod.run(argv)
    assert set(re.findall(r"Cap(?:Prm|Eff|Bnd):\s+0*(\w+)", done.stdout)) == {"3000"}


def test_nothing_can_be_written(image: Image, pod: Pod) -> None:
    for place in ("/", "/tmp", "/run", "/dev", "/opt/meshproxy"):
        done = pod.run(image.container([f"{place}/x"], entrypoint=["touch"], user="0:0"))
        assert "Read-only file system" in done.stderr, place


def test_the_data_path_is_compiled(image: Image, pod: Pod) -> None:
    shown = json.loads(run(image, pod, "meshproxy", "version", "-o", "json"))
    assert shown["clientVersion"]["dataPath"] == "compiled"


CODECS = """
from meshproxy.model.settings import DEFAULTS
from meshproxy.wire.codecs import HTTP1, HTTP2, http1_reader, http2_codec
for name in HTTP1:
    print(http1_reader(name)(8192, 100).request(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n").path)
for name in HTTP2:
    codec = http2_codec(name)(True, DEFAULTS)
    codec.start()
    print(codec.take()[:14])
"""


def test_all_codecs_work_as_they_are_compiled_there(image: Image, pod: Pod) -> None:
    said = run(image, pod, PYTHON, "-c", CODECS).split("\n")[:4]
    assert said == ["b'/'", "b'/'", *(["b'PRI * HTTP/2.0'"] * 2)]


def test_all_bytecode_is_there(image: Image, pod: Pod) -> None:
    assert run(image, pod, PYTHON, "-c", BYTECODE) == ""


def test_only_what_is_locked_is_installed(image: Image, pod: Pod) -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    wanted = {*re.findall(r"^\S+==\S+", lock, re.MULTILINE), f"meshproxy=={__version__}"}
    assert set(run(image, pod, PYTHON, "-c", INSTALLED).split()) == wanted


def test_the_demo_is_complete(image: Image, pod: Pod) -> None:
    program = "from meshproxy.demo.files import examples; print(*examples().glob('*/*'))"
    assert "inventory.py" in run(image, pod, PYTHON, "-c", program)


def test_labels(image: Image) -> None:
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.title"] == "meshproxy"
    assert labels["org.opencontainers.image.version"] == __version__


def test_size(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    megabytes = image.bytes_above_base() / 1e6
    with capsys.disabled():
        print(f"\nthe image is {megabytes:.1f} MB above its base")
    assert megabytes < MOST_MEGABYTES
