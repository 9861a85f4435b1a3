"""Modes of workloads, held against Istio's rule said plainly."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.translate.assembly.peer_modes import DISABLE, NOWHERE, PERMISSIVE, PeerModes
from meshproxy.translate.kinds.meta import Meta
from meshproxy.translate.kinds.peer_authentication import MODES, PeerAuthentication

ROOT = "root"
NAMESPACES = (ROOT, "a", "b")
PORTS = (1, 2, 3)
LABELS = st.fixed_dictionaries({}, optional={"x": st.sampled_from("12"), "y": st.just("1")})
PEERS = st.lists(
    st.builds(
        PeerAuthentication,
        st.builds(Meta, st.just("PeerAuthentication"), st.sampled_from(NAMESPACES), st.just("p")),
        st.none() | LABELS.filter(bool),
        st.sampled_from(MODES),
        st.fixed_dictionaries({}, optional=dict.fromkeys(PORTS[:2], st.sampled_from(MODES))),
    ),
    max_size=6,
)


def reference(
    peers: list[PeerAuthentication], namespace: str, labels: Mapping[str, str], port: int
) -> str:
    """The oldest of each reach; the narrowest that says anything; ports of the last alone."""
    mesh = [each for each in peers if each.selector is None and each.meta.namespace == ROOT]
    own = [each for each in peers if each.meta.namespace == namespace != ROOT]
    wide = [each for each in own if each.selector is None]
    narrow = [
        each
        for each in own
        if each.selector is not None and each.selector.items() <= labels.items()
    ]
    mode = PERMISSIVE
    for found in (mesh, wide, narrow):
        if found and found[0].mode != "UNSET":
            mode = found[0].mode
    said = narrow[0].ports.get(port, "UNSET") if narrow else "UNSET"
    return mode if said == "UNSET" else said


@given(PEERS, st.sampled_from(NAMESPACES), LABELS)
def test_as_the_reference(
    peers: list[PeerAuthentication], namespace: str, labels: Mapping[str, str]
) -> None:
    modes = PeerModes(peers, ROOT)
    found = modes.of(namespace, labels)
    plain = modes.plaintext(namespace, labels)
    for port in PORTS:
        expected = reference(peers, namespace, labels, port)
        assert found.ports.get(port, found.mode).mode == expected
        assert plain.holds(port) == (expected == DISABLE)
    if DISABLE not in {reference(peers, namespace, labels, port) for port in (*PORTS, 4)}:
        assert plain == NOWHERE
