"""Messages of real programs, and what they mean."""

from __future__ import annotations

import pytest

from iptables.explain import explain, missing_family

TEXT = """\
* nat
-N ISTIO_OUTPUT
-A OUTPUT -j ISTIO_OUTPUT
-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
COMMIT
"""


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ("iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission "
         "denied (you must be root)", "capability NET_ADMIN is missing"),
        ("/dev/stdin:1:1-17: Error: Could not process rule: Operation not permitted",
         "capability NET_ADMIN is missing"),
        ("iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nat'",
         "kernel module iptable_nat is missing"),
        ("ip6tables v1.8.4 (legacy): can't initialize ip6tables table `nat': Table does not exist "
         "(do you need to insmod?)", "kernel module ip6table_nat is missing"),
        ("iptables-restore v1.8.9 (nf_tables): Could not fetch rule set generation id: Protocol "
         "not supported", "kernel module nf_tables is missing"),
        ("Warning: Extension owner revision 0 not supported, missing kernel module?\n"
         "iptables-restore: line 4 failed", "kernel module xt_owner is missing"),
        ("Warning: Extension REDIRECT revision 0 not supported, missing kernel module?\n",
         "kernel module xt_REDIRECT is missing"),
        ("iptables-restore v1.8.7 (nf_tables): \nline 2: CHAIN_ADD failed (No such file or "
         "directory): chain PREROUTING", "nft_chain_nat"),
        ("iptables-restore: line 4 failed", "needs the kernel module xt_owner"),
        ("iptables-restore: line 5 failed", "(line 'COMMIT')"),
        ("line 4: RULE_APPEND failed (No such file or directory): rule in chain ISTIO_OUTPUT",
         "'-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN' needs the kernel module xt_owner"),
        ("iptables-nft-restore: line 2 failed: Chain already exists.", "Chain already exists"),
        ("Another app is currently holding the xtables lock. Stopped waiting after 30s.",
         "another program holds the iptables lock"),
        ("Fatal: can't open lock file /run/xtables.lock: Read-only file system",
         "mount a writable /run"),
        ("something\n  nobody has seen\n", "something nobody has seen"),
        ("", "no message"),
    ],
)  # fmt: skip
def test_reason(errors: str, said: str) -> None:
    found = explain(errors, TEXT)
    assert said in found
    assert "\n" not in found


@pytest.mark.parametrize(
    ("errors", "missing"),
    [
        ("ip6tables-restore: unable to initialize table 'nat'", True),
        ("Could not fetch rule set generation id: Address family not supported by protocol", True),
        ("Extension owner revision 0 not supported", False),
        ("line 4 failed", False),
    ],
)
def test_whether_a_family_is_missing(errors: str, missing: bool) -> None:
    assert missing_family(errors) is missing
