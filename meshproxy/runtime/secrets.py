"""The supervisor's eye on certificates and keys: read, checked, watched, told to the workers.

New material is used whole and right, or not at all: what does not fit together (half written,
certificate and key swapped one after the other) leaves the last good one in use, and is looked at
again as soon as a file changes. Values go to the workers and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshproxy.base.clock import Clock
from meshproxy.identity import IdentityError
from meshproxy.identity.spiffe import parse
from meshproxy.identity.svid import trusted
from meshproxy.identity.x509 import Certificate
from meshproxy.model.secret import WORKLOAD, Secret, SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.runtime import expiry
from meshproxy.runtime.loaded import Loaded, SecretError, load
from meshproxy.show.secrets import Material, resource_names
from meshproxy.sources import pem_files
from meshproxy.sources.files import Fingerprint
from meshproxy.sources.watch import Watcher

_log = logging.getLogger(__name__)

_TICK = 1.0  # seconds between two looks at the clock

Tell = Callable[[Mapping[SecretRef, Secret | None]], None]


@dataclass(slots=True)
class Held:
    """What is known of one secret: in use, come too early or too late to be used, and why not."""

    used: Loaded | None = None
    waiting: Loaded | None = None
    fault: str = ""
    since: float = 0.0  # when that came, in seconds since the epoch
    mark: float = 1.0  # of its life, already said
    said: float = 0.0  # when it was said last that it is not valid
    lists: expiry.ListWords = field(default_factory=expiry.ListWords)


class Secrets:
    """``certs`` is the workload's directory; ``required``: there must be a certificate in it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        certs: str,
        required: bool,
        tell: Tell,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._certs = certs
        self._required = required
        self._tell = tell
        self._given: Mapping[SecretRef, Secret] = {}  # those that stand in the configuration
        self._wanted: tuple[set[SecretRef], set[SecretRef]] = (set(), set())  # now, and before
        self._held: dict[SecretRef, Held] = {WORKLOAD: Held()}
        self._domains = ""  # of the mesh, about which it was said that we are not of it
        self._seen: Fingerprint = ()
        self._watcher: Watcher | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.updates = {"accepted": 0, "rejected": 0}
        self.on_identity: Callable[[], None] = lambda: None

    # What there is.

    @property
    def identity_wanted(self) -> bool:
        """Whether this sidecar has an identity, or was told to have one."""
        return self._required or bool(pem_files.look(self._places(WORKLOAD)[:3]))

    def unready_reason(self) -> str:
        """Why the workload can't show who it is, as a sentence; "" if it can, or need not."""
        held = self._held[WORKLOAD]
        if held.used is not None:
            return self._invalid(held.used)
        if self._required or held.fault:
            return f"no certificate of the workload that can be used: {held.fault}"
        return ""

    def _invalid(self, loaded: Loaded) -> str:
        found = expiry.invalid(loaded.path, self._clock.wall())
        return f"the workload's certificate {loaded.places.certificate} {found}" if found else ""

    def shown(self) -> list[Material]:
        """All that is in use or waited for, without keys."""
        found = [
            Material(
                ref,
                self._places(ref),
                held.since,
                held.used.chain,
                held.used.roots,
                held.used.secret.certificate,
                held.used.secret.roots,
            )
            if held.used is not None
            else Material(ref, self._places(ref))
            for ref, held in self._held.items()
        ]
        return [each for each in found if each.chain or each.roots or self._held[each.ref].fault]

    def facts(self) -> dict[str, float]:
        """Metrics by name and label."""
        now = self._clock.wall()
        facts: dict[str, float] = {
            f"meshproxy_certificate_updates_total:{result}": count
            for result, count in self.updates.items()
        }
        every: list[Certificate] = []
        for ref, held in self._held.items():
            if held.used is None:
                continue
            every += (*held.used.chain, *held.used.roots)
            first = expiry.first_list_ends(held.used.lists)
            if first is not None:
                facts[f"meshproxy_crl_expiry_seconds:{resource_names(ref)[1]}"] = first - now
            if secret := held.used.secret if held.used.chain else None:
                name = resource_names(ref)[0]
                left = expiry.life_left(secret.not_before, secret.not_after, now)
                facts[f"istio_agent_cert_expiry_seconds:{name}"] = secret.not_after - now
                facts[f"meshproxy_certificate_life_left_ratio:{name}"] = left
        days = expiry.days_until_first(every, now)
        if days is not None:
            facts["envoy_server_days_until_first_cert_expiring"] = days
        return facts

    # Reading.

    def start(self) -> None:
        """The first look; blocks. What changes from here on is seen once it is watched."""
        self._seen = self._look("")
        self._read([WORKLOAD])
        held = self._held[WORKLOAD]
        if held.used is None and not held.fault:
            _log.info(
                "no identity: there is no certificate in %s; connections in the mesh are plaintext",
                self._certs,
            )

    def watch(self) -> None:
        self._watcher = Watcher("", self._loop, self._changed, self._seen, self._look)
        self._watcher.start()
        self._timer = self._loop.call_later(_TICK, self._tick)

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
        if self._timer is not None:
            self._timer.cancel()

    def follow(self, snapshot: Snapshot, given: Mapping[SecretRef, Secret]) -> None:
        """Have ready what this snapshot names; ``given`` stood in the configuration itself.

        What the snapshot before named is kept for as long, since it is in use until workers have
        taken the new one.
        """
        self._given = given
        now = _named(snapshot) - {WORKLOAD}
        self._wanted = (now, self._wanted[0])
        keep = {WORKLOAD, *now, *self._wanted[1]}
        gone = [ref for ref in self._held if ref not in keep]
        for ref in gone:
            del self._held[ref]
        if gone:
            self._tell(dict.fromkeys(gone))
        new = now - self._held.keys()
        for ref in new:
            self._held[ref] = Held()
        self._read(sorted(now))
        missing = [ref for ref in sorted(new) if self._held[ref].used is None]
        if missing:
            self._tell(dict.fromkeys(missing))
        self._compare_domains(snapshot)

    def _look(self, _: str) -> Fingerprint:
        return pem_files.look(path for ref in self._held for path in self._paths(ref))

    def _changed(self) -> None:
        self._read([WORKLOAD, *sorted(self._wanted[0])])

    def _read(self, refs: list[SecretRef]) -> None:
        told: dict[SecretRef, Secret | None] = {}
        for ref in refs:
            held = self._held[ref]
            before = held.used
            self._offer(ref, held)
            if held.used is not before:
                told[ref] = held.used.secret if held.used is not None else None
        if told:
            self._tell(told)

    def _offer(self, ref: SecretRef, held: Held) -> None:
        """Look at the newest there is of one secret, and use it if it is right."""
        try:
            given = self._material(ref)
            if given is None:
                held.fault = ""
                return
            if held.used is not None and _same(held.used.secret, given):
                held.fault, held.waiting = "", None
                return
            loaded = load(given, self._places(ref), ref == WORKLOAD)
        except SecretError as error:
            if ref.credential and ref not in self._given:
                held.used = None  # it was taken away, and not by halves as files can be
            self._refuse(held, str(error))
            return
        self._take(ref, held, loaded)

    def _material(self, ref: SecretRef) -> Secret | None:
        """The parts as they stand there; None where there is nothing and need not be."""
        if ref.credential:
            if ref not in self._given:
                raise SecretError(f"there is no Secret {ref.credential} that can be used")
            return self._given[ref]
        reading = pem_files.read(self._paths(ref))
        places = self._places(ref)
        if ref == WORKLOAD:
            if not self._required and not any(path in reading.contents for path in places[:3]):
                if self._held[ref].used is not None:
                    raise SecretError(f"there is no certificate in {self._certs} any more")
                return None
            optional = {places.crl} if reading.faults.get(places.crl) == "is not there" else set()
        else:
            optional = set()
        for path, fault in reading.faults.items():
            if path not in optional:
                raise SecretError(f"{path} {fault}")
        certificate, key, roots, crl = (reading.contents.get(path, b"") for path in places[:4])
        return Secret(certificate, key, roots, crl)

    def _take(self, ref: SecretRef, held: Held, loaded: Loaded) -> None:
        """Use it, unless that would replace one that is valid by one that is not."""
        now = self._clock.wall()
        if held.used is not None and held.used.valid(now) and not loaded.valid(now):
            held.waiting = loaded
            place, fault = loaded.places.certificate, expiry.invalid(loaded.path, now)
            self._refuse(held, f"{place} {fault}")
            return
        first = held.used is None
        held.used, held.waiting, held.fault = loaded, None, ""
        held.since, held.mark, held.said = now, 1.0, 0.0
        self.updates["accepted"] += 1
        if loaded.secret.certificate:
            who = loaded.secret.identity or loaded.chain[0].subject or "no name"
            _log.info(
                "%s: certificate %x of %s, valid until %s",
                loaded.places.certificate,
                loaded.chain[0].serial,
                who,
                expiry.when(loaded.secret.not_after),
            )
        else:
            _log.info("%s: %d root certificates", loaded.places.roots, len(loaded.roots))
        self._say_life(held, now)
        if first and ref == WORKLOAD:
            self.on_identity()

    def _refuse(self, held: Held, fault: str) -> None:
        """Say it, once. Swaps file by file come through here, and are no error."""
        if fault == held.fault:
            return
        held.fault = fault
        self.updates["rejected"] += 1
        if held.used is not None:
            _log.warning("%s; the last good one stays in use", fault)
        else:
            _log.error("%s", fault)

    # Time.

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK, self._tick)
        now = self._clock.wall()
        for ref, held in list(self._held.items()):
            if held.waiting is not None and held.waiting.valid(now):
                self._take(ref, held, held.waiting)
                assert held.used is not None
                self._tell({ref: held.used.secret})
            self._say_life(held, now)
        # A file may have become readable without a sign that a look would see.
        wanted = (WORKLOAD, *sorted(self._wanted[0]))
        self._read([ref for ref in wanted if self._held[ref].fault])

    def _say_life(self, held: Held, now: float) -> None:
        """Warnings while a life ends, each once; once it has, again and again."""
        loaded = held.used
        if loaded is None:
            return
        for level, text in held.lists.news(loaded.lists, loaded.places.crl, now):
            _log.log(level, text)
        if not loaded.secret.certificate:
            return
        fault = expiry.invalid(loaded.path, now)
        if fault:
            if not held.said or now - held.said >= expiry.REPEAT:
                held.said = now
                _log.error("%s %s: replace it", loaded.places.certificate, fault)
            return
        reached = expiry.mark(loaded.secret, now)
        if reached < held.mark:
            held.mark = reached
            _log.warning(
                "%s has less than %d %% of its life left: it expires at %s",
                loaded.places.certificate,
                reached * 100,
                expiry.when(loaded.secret.not_after),
            )

    # Where things are.

    def _places(self, ref: SecretRef) -> SecretRef:
        """The same, with what people find the parts by."""
        if ref == WORKLOAD:
            names = ("cert-chain.pem", "key.pem", "root-cert.pem", "ca-crl.pem")
            return SecretRef(*(f"{self._certs.rstrip('/')}/{name}" for name in names))
        if ref.credential:
            given = self._given.get(ref, Secret())
            there = (given.certificate, given.key, given.roots, given.crl)
            names = ("tls.crt", "tls.key", "ca.crt", "ca.crl")
            return SecretRef(
                *(
                    f"{name} of Secret {ref.credential}" if part else ""
                    for name, part in zip(names, there, strict=True)
                )
            )
        return ref

    def _paths(self, ref: SecretRef) -> list[str]:
        return [] if ref.credential else [path for path in self._places(ref)[:4] if path]

    def _compare_domains(self, snapshot: Snapshot) -> None:
        """Say once that nobody will believe us."""
        used = self._held[WORKLOAD].used
        if used is None:
            return
        domains = f"{used.secret.identity} {snapshot.trust_domain}"
        try:
            ours = parse(used.secret.identity)
        except IdentityError:
            return
        aliases = snapshot.trust_domain_aliases
        if domains != self._domains and not trusted(ours, snapshot.trust_domain, aliases):
            self._domains = domains
            _log.warning(
                "the workload is %s, and the mesh's trust domain is %s: others may refuse it",
                ours,
                snapshot.trust_domain,
            )


def _named(snapshot: Snapshot) -> set[SecretRef]:
    """What calls to upstreams need, and ports that end TLS of their own."""
    found = {each.tls.secret for each in snapshot.clusters.values() if each.tls is not None}
    for listener in snapshot.listeners.values():
        found.update(chain.tls.secret for chain in listener.chains if chain.tls is not None)
    return found


def _same(one: Secret, other: Secret) -> bool:
    return (one.certificate, one.key, one.roots, one.crl) == (
        other.certificate,
        other.key,
        other.roots,
        other.crl,
    )
