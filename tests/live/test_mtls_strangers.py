"""Programs that know nothing of a mesh, and offer what is no longer safe: nobody takes it.

The same is asked of a server that takes everything, so that each test can fail.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import envoy
from tests.support.hop import BACK, FRONT, Apps, called
from tests.support.namespaces import tool
from tests.support.peers import LOCAL, Peer, wait_until
from tests.support.pki import CERTIFICATE, KEY, ROOTS, Authority
from tests.support.sidecar import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(tool("openssl") is None, reason="not installed: openssl"),
]

CARELESS = "openssl"
# Without the system's configuration, which may forbid what is offered here.
ENVIRONMENT = {**os.environ, "OPENSSL_CONF": os.devnull}
ANYTHING = "ALL:@SECLEVEL=0"

# Cipher suites by their IANA numbers: what a handshake of TLS 1.2 could be made with.
GOOD = {"ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B, "ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C}
CBC = {
    "ECDHE-ECDSA-AES128-SHA": 0xC009,
    "ECDHE-ECDSA-AES256-SHA": 0xC00A,
    "ECDHE-ECDSA-AES128-SHA256": 0xC023,
    "ECDHE-ECDSA-AES256-SHA384": 0xC024,
}
# No library offers these any more, so nothing here can take them.
RC4 = {"ECDHE-ECDSA-RC4-SHA": 0xC007, "ECDHE-RSA-RC4-SHA": 0xC011, "RC4-SHA": 5, "RC4-MD5": 4}
EXPORT = {"EXP-RC4-MD5": 3, "EXP-DES-CBC-SHA": 8, "EXP-EDH-RSA-DES-CBC-SHA": 0x14}
STATIC = {"AES128-GCM-SHA256": 0x9C, "AES128-SHA": 0x2F, "DES-CBC3-SHA": 0x0A, "NULL-SHA256": 0x3B}


@dataclass(frozen=True)
class Place:
    """``ports`` of those that take mutual TLS; ``certs`` are a good caller's."""

    ports: dict[str, int]
    certs: Path

    @property
    def careful(self) -> list[str]:
        return [name for name in self.ports if name != CARELESS]

    def handshake(self, server: str, *arguments: str) -> str:
        """The version and cipher that `openssl s_client` gets; "" where it gets none."""
        command = [
            *("openssl", "s_client", "-connect", f"{LOCAL}:{self.ports[server]}"),
            *("-cert", str(self.certs / CERTIFICATE), "-key", str(self.certs / KEY)),
            *("-CAfile", str(self.certs / ROOTS), *arguments),
        ]
        done = subprocess.run(
            command, input="", env=ENVIRONMENT, capture_output=True, text=True, timeout=20
        )
        found = re.search(r"^New, (\S+), Cipher is (\S+)", done.stdout, re.MULTILINE)
        if found is None or found[2] == "(NONE)":
            assert done.returncode, done.stderr
            return ""
        # TLS 1.2 and its forerunners share their ciphers: only the session says which it is.
        version = re.search(r"^\s+Protocol\s*: (\S+)", done.stdout, re.MULTILINE)
        return f"{version[1] if version else found[1]} {found[2]}"

    def answer(self, server: str, hello: bytes) -> str:
        """What comes to a ClientHello: ``hello``, ``alert N``, or ``end``."""
        with Peer.connect(self.ports[server]) as peer:
            peer.send(hello)
            try:
                head = peer.exactly(6)
            except (ConnectionError, EOFError):
                return "end"
            if head[0] == 21:
                return f"alert {peer.exactly(1)[0]}"
            assert (head[0], head[5]) == (22, 2), head
            return "hello"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("strangers")
    authority = Authority()
    certs = authority.issue(FRONT).write(folder / "caller")
    leaf = authority.issue(BACK)
    with Apps() as apps, called("ours", leaf, apps) as ours:
        ports = {"ours": ours.ports["http"]}
        with careless(leaf.write(folder / "called")) as ports[CARELESS]:
            if envoy.program() is None:
                yield Place(ports, certs)
                return
            with called("envoy", leaf, apps) as theirs:
                ports["envoy"] = theirs.ports["http"]
                yield Place(ports, certs)


@contextmanager
def careless(certs: Path) -> Iterator[int]:
    """A server that takes whatever OpenSSL can still speak. Its port."""
    port = free_port()
    command = [
        *("openssl", "s_server", "-accept", f"{LOCAL}:{port}", "-www", "-cipher", ANYTHING),
        *("-cert", str(certs / CERTIFICATE), "-key", str(certs / KEY), "-quiet"),
        *("-Verify", "3", "-CAfile", str(certs / ROOTS)),
    ]
    process = subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(port), "openssl s_server")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    try:
        Peer.connect(port).close()
    except OSError:
        return False
    return True


def hello(suites: Iterable[int], version: int = 0x0303) -> bytes:
    """A ClientHello of TLS 1.2 or before, offering exactly these cipher suites."""
    listed = b"".join(struct.pack(">H", suite) for suite in suites)
    extensions = b"".join(
        struct.pack(">HH", kind, len(body)) + body
        for kind, body in (
            (10, struct.pack(">HHH", 4, 29, 23)),  # x25519, secp256r1
            (11, b"\x01\x00"),  # uncompressed points
            (13, struct.pack(">HHHHH", 8, 0x0403, 0x0804, 0x0401, 0x0203)),
            (16, b"\x00\x06\x05istio"),
        )
    )
    body = struct.pack(">H", version) + bytes(32) + b"\x00"
    body += struct.pack(">H", len(listed)) + listed + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


# With the client of OpenSSL.


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_what_is_safe_is_spoken(place: Place, version: str) -> None:
    for server in place.ports:
        found = place.handshake(server, "-tls" + version.replace(".", "_"))
        assert found.startswith(f"TLSv{version} "), server
        assert "GCM" in found or "CHACHA20" in found


@pytest.mark.parametrize("version", ["1", "1_1"])
def test_nothing_below_tls_1_2(place: Place, version: str) -> None:
    arguments = (f"-tls{version}", "-cipher", ANYTHING)
    assert place.handshake(CARELESS, *arguments)
    for server in place.careful:
        assert not place.handshake(server, *arguments), server


@pytest.mark.parametrize("cipher", CBC)
def test_no_cbc(place: Place, cipher: str) -> None:
    arguments = ("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert place.handshake(CARELESS, *arguments).endswith(cipher)
    for server in place.careful:
        assert not place.handshake(server, *arguments), server


def test_an_offer_of_everything_gets_the_best(place: Place) -> None:
    for server in place.careful:
        found = place.handshake(server, "-tls1_2", "-cipher", ANYTHING)
        assert re.fullmatch(r"TLSv1.2 ECDHE-ECDSA-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)", found)


# By hand: what no client offers any more.


@pytest.mark.parametrize("suites", [RC4, EXPORT, STATIC, CBC], ids=["rc4", "export", "rsa", "cbc"])
def test_no_old_suite(place: Place, suites: Mapping[str, int]) -> None:
    good = [*suites.values(), *GOOD.values()]
    for server in place.careful:
        assert place.answer(server, hello(suites.values())) in ("alert 40", "end"), server
        # What was refused was the suites.
        assert place.answer(server, hello(good)) == "hello"


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_no_old_version(place: Place, version: int) -> None:
    everything = [*CBC.values(), *RC4.values(), *STATIC.values(), *GOOD.values()]
    if version > 0x0300:
        assert place.answer(CARELESS, hello(everything, version)) == "hello"
    for server in place.careful:
        assert place.answer(server, hello(everything, version)) != "hello", server


# With curl.

needs_curl = pytest.mark.skipif(tool("curl") is None, reason="not installed: curl")


def curl(place: Place, server: str, *arguments: str) -> str:
    """Status and version of HTTP; where there is none, what curl ended with."""
    command = [
        *("curl", "--silent", "--insecure", "--http1.1", "--output", os.devnull, "--max-time", "8"),
        *("--write-out", "%{http_code} %{http_version}", *arguments),
        f"https://{LOCAL}:{place.ports[server]}/",
    ]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=20)
    return done.stdout if not done.returncode else f"ended with {done.returncode}"


@needs_curl
def test_curl_with_a_certificate_is_served(place: Place) -> None:
    shown = ("--cert", str(place.certs / CERTIFICATE), "--key", str(place.certs / KEY))
    for server in place.careful:
        assert curl(place, server, *shown) == "200 1.1"
        assert curl(place, server, *shown, "--tls-max", "1.2") == "200 1.1"


@needs_curl
def test_curl_without_a_certificate_is_not(place: Place) -> None:
    for server in [*place.careful, CARELESS]:
        # With TLS 1.3 it learns that only after its request.
        assert curl(place, server) in ("ended with 56", "ended with 35", "ended with 55")


@needs_curl
def test_curl_gets_nothing_old(place: Place) -> None:
    shown = ("--cert", str(place.certs / CERTIFICATE), "--key", str(place.certs / KEY))
    old = (*shown, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", ANYTHING)
    assert curl(place, CARELESS, *old).startswith("200")
    for server in place.careful:
        assert curl(place, server, *old) == "ended with 35"
