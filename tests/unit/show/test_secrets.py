"""Certificates as Envoy and istioctl show them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from meshproxy.identity.pem import CERTIFICATE, blocks
from meshproxy.identity.x509 import read_certificate
from meshproxy.model.secret import WORKLOAD, SecretRef
from meshproxy.show.reading import Dump
from meshproxy.show.secrets import (
    Material,
    certs_json,
    resource_names,
    secrets_section,
)
from meshproxy.show.secrets_table import secrets_table
from meshproxy.show.tables import Wanted, table
from tests.support.certs import CART, Mesh, serial

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MESH = Mesh()
PAIR = MESH.issue(now=BEGIN, dns=("cart.shop",))
PLACES = SecretRef("/certs/cert-chain.pem", "/certs/key.pem", "/certs/root-cert.pem")


def certificates(pem: bytes) -> tuple[Any, ...]:
    return tuple(map(read_certificate, blocks(pem, CERTIFICATE)))


OWN = Material(
    WORKLOAD,
    PLACES,
    BEGIN.timestamp(),
    certificates(PAIR.chain),
    certificates(PAIR.roots),
    PAIR.chain,
    PAIR.roots,
)
LATE = Material(SecretRef("a.pem", "b.pem"), SecretRef("a.pem", "b.pem"))
NO_ROOTS = Material(SecretRef(roots="r.pem"), SecretRef(roots="r.pem"))
HEX = f"{serial(PAIR):x}"


@pytest.mark.parametrize(
    ("ref", "names"),
    [
        (WORKLOAD, ("default", "ROOTCA")),
        (
            SecretRef(credential="shop/tls"),
            ("kubernetes://shop/tls", "kubernetes://shop/tls-cacert"),
        ),
        (SecretRef("c", "k", "r"), ("file-cert:c~k", "file-root:r")),
    ],
)
def test_names_are_istios(ref: SecretRef, names: tuple[str, str]) -> None:
    assert resource_names(ref) == names


def test_certs_have_envoys_fields() -> None:
    now = BEGIN.timestamp() + 3600
    (found,) = certs_json([OWN, LATE], now)["certificates"]
    (leaf,) = found["cert_chain"]
    assert leaf == {
        "path": "/certs/cert-chain.pem",
        "serial_number": HEX if len(HEX) % 2 == 0 else f"0{HEX}",
        "subject_alt_names": [{"uri": CART}, {"dns": "cart.shop"}],
        "days_until_expiration": "0",
        "valid_from": "2026-03-01T11:58:00Z",
        "expiration_time": "2026-03-02T12:00:00Z",
        "seconds_until_expiration": 23 * 3600,
    }
    (root,) = found["ca_cert"]
    assert root["path"] == "/certs/root-cert.pem"
    assert int(root["days_until_expiration"]) > 30_000
    expired = certs_json([OWN], BEGIN.timestamp() + 200_000)["certificates"][0]["cert_chain"][0]
    assert expired["days_until_expiration"] == "0"
    assert expired["seconds_until_expiration"] < 0


def test_the_dump_has_no_key() -> None:
    section = secrets_section([OWN, LATE, NO_ROOTS], "7")
    own, roots = section["dynamic_active_secrets"]
    assert (own["name"], own["version_info"], roots["name"]) == ("default", "7", "ROOTCA")
    assert own["last_updated"] == "2026-03-01T12:00:00Z"
    tls = own["secret"]["tls_certificate"]
    assert base64.b64decode(tls["certificate_chain"]["inline_bytes"]) == PAIR.chain
    assert base64.b64decode(tls["private_key"]["inline_bytes"]) == b"[redacted]"
    held = roots["secret"]["validation_context"]["trusted_ca"]["inline_bytes"]
    assert base64.b64decode(held) == PAIR.roots
    waiting = [each["name"] for each in section["dynamic_warming_secrets"]]
    assert waiting == ["file-cert:a.pem~b.pem", "file-root:r.pem"]


def rows(materials: list[Material], now: float, name: str = "") -> list[list[str]]:
    section = secrets_section(materials, "7")
    kind = {"@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump"}
    dump = Dump(json.loads(json.dumps({"configs": [{**kind, **section}]})))
    lines = table(secrets_table(now), dump, Wanted(name=name)).splitlines()
    return [[cell.strip() for cell in line.split("     ") if cell.strip()] for line in lines]


def test_the_table_is_istioctls() -> None:
    now = BEGIN.timestamp()
    head, own, roots, late, none = rows([OWN, LATE, NO_ROOTS], now)
    assert head == [
        *("RESOURCE NAME", "TYPE", "STATUS", "VALID CERT"),
        *("SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"),
    ]
    times = ["2026-03-02T12:00:00Z", "2026-03-01T11:58:00Z"]
    assert own == ["default", "Cert Chain", "ACTIVE", "true", HEX, *times]
    assert roots[:4] == ["ROOTCA", "CA", "ACTIVE", "true"]
    assert late == ["file-cert:a.pem~b.pem", "Cert Chain", "WARMING", "false"]
    assert none == ["file-root:r.pem", "CA", "WARMING", "false"]
    assert rows([OWN], now + 200_000)[1][3] == "false"
    assert [row[0] for row in rows([OWN, LATE], now, "ROOTCA")[1:]] == ["ROOTCA"]


@pytest.mark.parametrize("pem", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA"])
def test_a_stored_dump_with_no_certificate_in_it(pem: bytes) -> None:
    broken = OWN._replace(chain_pem=pem or b" ", roots_pem=b"")
    assert rows([broken], 0.0)[1] == ["default", "Cert Chain", "ACTIVE", "false"]
