"""What a container may lack and what is said then, the self-test, and how long a run takes."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.test_iptables import ALL, saved
from tests.support.namespaces import APP, PROXY, REPOSITORY, Mesh, Pod, needed, python, wait_until

pytestmark = [pytest.mark.netns, needed("iptables")]

ENVIRON = {"PYTHONPATH": str(REPOSITORY)}


@pytest.fixture
def pod() -> Iterator[Pod]:
    with Mesh("pod") as mesh:
        yield mesh["pod"]


def limited(*capabilities: str) -> list[str]:
    """The program with no capabilities but these, as in a container's securityContext."""
    kept = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", f"--bounding-set={kept}", sys.executable, "-m", "iptables", *ALL]


class TestCapabilities:
    @pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
    def test_net_admin_and_net_raw_suffice(self, pod: Pod, backend: str) -> None:
        argv = [*limited("net_admin", "net_raw"), "-m", "TPROXY", "--backend", backend]
        done = pod.run(argv, env=ENVIRON)
        assert done.returncode == 0, done.stderr

    def test_without_net_admin(self, pod: Pod) -> None:
        before = saved(pod)
        done = pod.run(limited("net_raw"), env=ENVIRON)
        assert done.returncode == 1
        assert done.stderr.startswith("error: Without NET_ADMIN no rules can be set")
        assert "securityContext.capabilities" in done.stderr
        assert saved(pod) == before

    def test_without_net_raw_legacy_alone_fails(self, pod: Pod) -> None:
        done = pod.run([*limited("net_admin"), "--backend", "legacy"], env=ENVIRON)
        assert done.returncode == 1
        assert "Without NET_RAW" in done.stderr
        assert pod.run([*limited("net_admin"), "--backend", "nft"], env=ENVIRON).returncode == 0

    def test_as_another_user(self, pod: Pod) -> None:
        done = pod.run([python(), "-m", "iptables", *ALL], uid=APP, env=ENVIRON)
        assert (done.returncode, "NET_ADMIN and NET_RAW" in done.stderr) == (1, True)


@needed("iptables-legacy")
def test_the_legacy_lock_is_waited_for(pod: Pod, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    command = [sys.executable, "-m", "iptables", *ALL, "--backend", "legacy"]
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = pod.start(command, env={**ENVIRON, "XTABLES_LOCKFILE": str(lock)})
        wait_until(lambda: bool(_waiting(run.pid)), "the program to wait for the lock")
        assert run.status is None
    assert run.wait() == 0, run.output()
    assert "iptables-legacy: rules set" in run.output()


def _waiting(pid: int) -> list[str]:
    """Programs that a process has started and waits for."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        names = [Path(f"/proc/{each}/cmdline").read_text(encoding="ascii") for each in children]
    except OSError:
        return []
    return [name for name in names if "legacy-restore" in name]


class TestValidation:
    @pytest.fixture
    def ruled(self, pod: Pod) -> Pod:
        done = pod.run([sys.executable, "-m", "iptables", *ALL], env=ENVIRON)
        assert done.returncode == 0, done.stderr
        return pod

    def check(self, pod: Pod, uid: int, *argv: str) -> tuple[int, str, str]:
        command = [python(), "-m", "iptables", "--skip-rule-apply", "--run-validation", *argv]
        done = pod.run(command, uid=uid, env=ENVIRON)
        return done.returncode, done.stdout, done.stderr

    def test_through_the_rules(self, ruled: Pod) -> None:
        status, out, err = self.check(ruled, PROXY)
        assert (status, out, err) == (0, "the self-test came through the rules.\n", "")

    @pytest.mark.parametrize("base", ["iptables", "ip6tables"])
    def test_each_family(self, ruled: Pod, base: str) -> None:
        flush = [f"{base}-nft", "-t", "nat", "-F", "ISTIO_IN_REDIRECT"]
        assert ruled.run(flush).returncode == 0
        before = saved(ruled)
        status, out, err = self.check(ruled, PROXY)
        assert (status, out) == (126, "")
        assert err.startswith("error: IPv4" if base == "iptables" else "error: IPv6")
        assert "was not captured" in err
        assert saved(ruled) == before

    def test_without_rules(self, pod: Pod) -> None:
        status, _, err = self.check(pod, PROXY)
        assert status == 126
        assert len(err.splitlines()) == 2

    def test_other_ports(self, pod: Pod) -> None:
        ports = ("-z", "16006", "--iptables-probe-port", "16002")
        assert (
            pod.run([sys.executable, "-m", "iptables", *ALL, *ports], env=ENVIRON).returncode == 0
        )
        assert self.check(pod, PROXY, *ports)[0] == 0

    def test_with_tproxy(self, pod: Pod) -> None:
        command = [sys.executable, "-m", "iptables", *ALL, "-m", "TPROXY"]
        assert pod.run(command, env=ENVIRON).returncode == 0
        assert self.check(pod, PROXY)[0] == 0

    @pytest.mark.parametrize("uid", [0, APP])
    def test_as_another_user(self, ruled: Pod, uid: int) -> None:
        status, _, err = self.check(ruled, uid)
        assert status == 2
        assert err == (
            f"error: --run-validation must run as the proxy's user (1337), not as {uid}.\n"
        )

    def test_port_in_use(self, ruled: Pod) -> None:
        listen = "import socket,time; s=socket.create_server(('127.0.0.1',15006)); time.sleep(60)"
        ruled.start([python(), "-c", listen]).wait_for_port(15006)
        status, _, err = self.check(ruled, PROXY)
        assert status == 126
        assert "can't listen on port 15006" in err


def test_it_is_quick(pod: Pod) -> None:
    """Far below a second, by processor time: the machine may be busy with something else."""
    before = _children()
    assert pod.run([sys.executable, "-m", "iptables", *ALL], env=ENVIRON).returncode == 0
    assert _children() - before < 0.5


def _children() -> float:
    """Processor seconds of all programs that this process has waited for."""
    times = os.times()
    return times.children_user + times.children_system
