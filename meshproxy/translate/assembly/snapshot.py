"""The parts put together: one snapshot for one workload."""

from __future__ import annotations

from meshproxy.model.cluster import Cluster
from meshproxy.model.secret import Secret, SecretRef
from meshproxy.model.snapshot import Snapshot
from meshproxy.model.telemetry import AccessLog
from meshproxy.translate.assembly import inbound
from meshproxy.translate.assembly.authorization import reaching_policies
from meshproxy.translate.assembly.catalog import Catalog, Entry
from meshproxy.translate.assembly.clusters import Defaults, all_clusters
from meshproxy.translate.assembly.delegates import merge_delegates
from meshproxy.translate.assembly.endpoints import EndpointFinder
from meshproxy.translate.assembly.listeners import Context, inbound_listeners, outbound_listeners
from meshproxy.translate.assembly.logs import access_logs, missing_providers
from meshproxy.translate.assembly.loops import remark_loops
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.mesh import build_settings, choose_mesh, defaults_of
from meshproxy.translate.assembly.names import PASSTHROUGH, outbound_cluster
from meshproxy.translate.assembly.outbound import Routing
from meshproxy.translate.assembly.own import Own, OwnFinder
from meshproxy.translate.assembly.own_config import with_own_config
from meshproxy.translate.assembly.peer_modes import PeerModes
from meshproxy.translate.assembly.references import UNKNOWN_REFERENCE, check_references
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.rules import RuleBook
from meshproxy.translate.assembly.same_host import SetAside, one_a_host
from meshproxy.translate.assembly.scope import (
    Exports,
    ListenerScope,
    build_scopes,
    choose_sidecar,
    service_distance,
)
from meshproxy.translate.assembly.secrets import used_secrets
from meshproxy.translate.assembly.security import build_guard
from meshproxy.translate.assembly.service_entries import ServiceEntries
from meshproxy.translate.assembly.services import (
    MeshService,
    Registry,
    build_registry,
    services_of,
)
from meshproxy.translate.assembly.sidecars import remark_sidecars
from meshproxy.translate.assembly.upstream_tls import Credentials
from meshproxy.translate.assembly.workloads import Workloads
from meshproxy.translate.kinds.destination_rule import DestinationRule
from meshproxy.translate.kinds.endpoints import Endpoints
from meshproxy.translate.kinds.peer_authentication import PeerAuthentication
from meshproxy.translate.kinds.pod import Pod
from meshproxy.translate.kinds.service import Service
from meshproxy.translate.kinds.service_entry import ServiceEntry
from meshproxy.translate.kinds.sidecar import Sidecar
from meshproxy.translate.kinds.telemetry import Telemetry
from meshproxy.translate.kinds.virtual_service import VirtualService
from meshproxy.translate.kinds.workload_entry import WorkloadEntry
from meshproxy.translate.options import Options
from meshproxy.translate.problems import UNSUPPORTED, Severity

# All that the services of the mesh and their endpoints are made of.
_MAKE_SERVICES = (Service, ServiceEntry, Endpoints, Pod, WorkloadEntry, PeerAuthentication)


class SnapshotBuilder:
    """Builds one snapshot. ``remarks`` has the problems of putting objects together, ``secrets``
    what the snapshot only names, ``who`` a phrase for whom it is (`Own`)."""

    def __init__(self, catalog: Catalog, options: Options, memo: Memo) -> None:
        mesh = choose_mesh(catalog)
        self.remarks = Remarks(catalog)
        self.remarks.problems += mesh.problems
        self.secrets: dict[SecretRef, Secret] = {}
        self._catalog = catalog
        self._options = options
        self._memo = memo
        self._mesh = mesh.config
        peers = [entry.value for entry in catalog.all(PeerAuthentication)]
        self._modes = PeerModes(peers, self._mesh.root_namespace)
        self._workloads = Workloads(catalog.all(Pod), catalog.all(WorkloadEntry), memo, self._modes)
        pods = [entry.value for entry in catalog.all(Pod)]
        entries = [entry.value for entry in catalog.all(WorkloadEntry)]
        self._own = self._find_own(pods, entries)
        self.who = self._own.who
        self._registry = self._find_services(pods, entries)

    def build(self) -> Snapshot:
        own = self._own
        config = with_own_config(self._mesh, self._catalog, own, self.remarks)
        root = config.root_namespace
        settings = build_settings(self._catalog, own.self_, config)
        defaults = defaults_of(config, settings)
        sidecars = self._catalog.all(Sidecar)
        chosen = choose_sidecar(sidecars, own.self_, root)
        remark_sidecars(sidecars, chosen, own.self_, root, self.remarks)
        scopes = self._scopes(chosen.value if chosen is not None else None)
        rest, proxy = self._rest(chosen)
        context = Context(
            self._options,
            own,
            self._registry,
            chosen,
            rest,
            defaults,
            build_guard(self._catalog, own.self_, root, self._modes, self._options.identity),
            config.tls_defaults,
            self.remarks,
            self._memo,
        )
        routing = Routing()
        listeners = outbound_listeners(context, scopes, routing)
        more_listeners, more_clusters = inbound_listeners(context)
        clusters = self._clusters(scopes, proxy, defaults)
        self.secrets = used_secrets(clusters.values(), self._catalog, self.remarks)
        clusters = {**clusters, **{cluster.name: cluster for cluster in more_clusters}}
        found = {listener.name: listener for listener in (*listeners, *more_listeners)}
        here = self._options.host_addresses
        remark_loops(found.values(), clusters.values(), here, self.remarks)
        if self._options.transparent:
            found = inbound.transparently(found)
        if self._options.keep_source:
            clusters = inbound.from_the_caller(clusters)
        return Snapshot(
            own.workload,
            found,
            routing.configs,
            routing.hosts,
            clusters,
            self._workloads.by_address,
            self._access_logs(),
            settings,
            bool(rest),
            config.trust_domain or self._options.trust_domain,
            rest or PASSTHROUGH,
            config.trust_domain_aliases,
            authorization=reaching_policies(self._catalog, own.self_, root, self.remarks),
            path_normalization=config.path_normalization,
            mesh_tls=config.mesh_tls,
            client_cert=config.client_cert,
        )

    def _find_services(self, pods: list[Pod], entries: list[WorkloadEntry]) -> Registry:
        inputs = (
            *self._catalog.inputs(*_MAKE_SERVICES),
            self._mesh.root_namespace,
            self._mesh.service_export_to,
            self._own.self_.namespace,
        )
        registry, aside = self._memo.stage(
            "services", inputs, lambda memo: self._build_registry(pods, entries, memo)
        )
        for each in aside:
            self.remarks.set_aside(each)
        return registry

    def _build_registry(
        self, pods: list[Pod], entries: list[WorkloadEntry], memo: Memo
    ) -> tuple[Registry, list[SetAside]]:
        slices = self._catalog.all(Endpoints)
        finder = EndpointFinder(slices, pods, entries, self._workloads, memo)
        domain = self._options.domain
        services = services_of(self._catalog.all(Service), finder, domain, memo)
        others = ServiceEntries(finder, self._workloads, memo)
        services += others.services(self._catalog.all(ServiceEntry))
        namespace = self._own.self_.namespace
        found = one_a_host(services, namespace, self._distance, memo)
        return build_registry(found.chosen, domain, memo, found.rivals), found.aside

    def _distance(self, service: MeshService) -> int | None:
        """How far a service is from the own workload."""
        return service_distance(service, self._mesh.service_export_to, self._own.self_.namespace)

    def _find_own(self, pods: list[Pod], entries: list[WorkloadEntry]) -> Own:
        sidecars = [entry.value for entry in self._catalog.all(Sidecar)]
        slices = [entry.value for entry in self._catalog.all(Endpoints)]
        finder = OwnFinder(pods, entries, slices, sidecars, self._workloads)
        options = self._options
        if options.workload is not None:
            own = finder.named(*options.workload, options.host_addresses)
        else:
            own = finder.here(options.host_addresses)
        if own.fault:
            self.remarks.workload(Severity.ERROR, own.fault, own.mend)
        if own.warning:
            self.remarks.workload(Severity.WARNING, own.warning)
        return own

    def _scopes(self, sidecar: Sidecar | None) -> list[ListenerScope]:
        exports = Exports(self._mesh.service_export_to, self._mesh.rule_export_to)
        rules = merge_delegates(
            self._catalog.all(VirtualService), exports.rules, self.remarks, self._memo
        )
        namespace = self._own.workload.namespace
        inputs = (
            *(entry.value for entry in rules),
            *(entry.origin for entry in rules),
            *(self._registry, sidecar, namespace, exports),
        )
        return self._memo.stage(
            "scopes",
            inputs,
            lambda memo: build_scopes(self._registry, rules, sidecar, namespace, exports, memo),
        )

    def _rest(self, sidecar: Entry[Sidecar] | None) -> tuple[str, MeshService | None]:
        """The cluster of what no service is, "" for none, and the service whose cluster it is.

        The Sidecar's `outboundTrafficPolicy` decides, else the mesh's, else Istio's default.
        """
        said = None if sidecar is None else sidecar.value.allow_any
        allow_any = self._mesh.allow_any is not False if said is None else said
        if sidecar is None or sidecar.value.egress_proxy is None or not allow_any:
            return PASSTHROUGH if allow_any else "", None
        proxy = sidecar.value.egress_proxy
        host = self._registry.resolve(proxy.host, sidecar.value.meta.namespace)
        service = self._registry.get(host)
        if service is None or service.port(proxy.port) is None:
            text = f"there is no service {host} with port {proxy.port}: unknown traffic is refused"
            path = ("spec", "outboundTrafficPolicy", "egressProxy")
            self.remarks.warn(sidecar, path, text, "declare the service", UNKNOWN_REFERENCE)
        return outbound_cluster(proxy.port, host, proxy.subset), service

    def _clusters(
        self, scopes: list[ListenerScope], proxy: MeshService | None, defaults: Defaults
    ) -> dict[str, Cluster]:
        book = self._rule_book()
        check_references(
            self._catalog.all(VirtualService), self._registry, book, self.remarks, self._memo
        )
        services = {} if proxy is None else {proxy.host: proxy}
        for scope in scopes:
            services.update(scope.reachable)
        credentials = self._credentials()
        return self._memo.stage(
            "clusters",
            (*services.values(), book, defaults, credentials),
            lambda memo: all_clusters(services.values(), book, defaults, credentials, memo),
        )

    def _rule_book(self) -> RuleBook:
        own, root = self._own, self._mesh.root_namespace
        export_to = self._mesh.destination_export_to
        return self._memo.stage(
            "rules",
            (*self._catalog.inputs(DestinationRule), self._registry, own.workload, root, export_to),
            lambda _: RuleBook(
                self._catalog.all(DestinationRule), self._registry, own.self_, root, export_to
            ),
        )

    def _credentials(self) -> Credentials:
        config, options = self._mesh, self._options
        own = config.trust_domain or options.trust_domain
        return Credentials(
            options.identity,
            config.auto_mtls,
            (own, *config.trust_domain_aliases),
            self._own.self_.namespace,
            config.tls_defaults,
        )

    def _access_logs(self) -> tuple[AccessLog, ...]:
        entries = self._catalog.all(Telemetry)
        for entry in entries:
            for name in missing_providers(self._mesh, entry.value):
                text = f"nothing is written to the provider {name} in this build"
                self.remarks.warn(entry, ("spec", "accessLogging"), text, "", UNSUPPORTED)
        telemetries = [entry.value for entry in entries]
        return access_logs(self._mesh, telemetries, self._own.self_, self._options.access_log)
