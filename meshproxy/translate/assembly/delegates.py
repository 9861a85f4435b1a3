"""VirtualServices that leave parts of their routes to others (`delegate`), put together.

Istio `mergeVirtualServicesIfNeeded` (`pilot/pkg/model/virtualservice.go`): each route of the
delegate takes the place of the route that names it. Its matches must be narrower than the
root's; a route whose matches are not is left out, and so is the root's route if its delegate is not
there or not exported to the root's namespace: further routes then get a chance.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from meshproxy.model.route import HeaderMatch, MatchKind, RouteMatch, StringMatch
from meshproxy.translate.assembly.catalog import Entry
from meshproxy.translate.assembly.memo import Memo
from meshproxy.translate.assembly.remarks import Remarks
from meshproxy.translate.assembly.scope import is_visible
from meshproxy.translate.kinds.http_match import HttpMatch
from meshproxy.translate.kinds.http_route import HttpRoute
from meshproxy.translate.kinds.virtual_service import VirtualService

_LEFT_OUT = "the route is left out"

Rules = list[Entry[VirtualService]]


def merge_delegates(
    entries: Rules, export_to: tuple[str, ...], remarks: Remarks, memo: Memo
) -> Rules:
    """The rules that have hosts, whole. ``export_to`` is the mesh's, for those that say nothing."""
    delegates = {
        (entry.value.meta.namespace, entry.value.meta.name): entry
        for entry in entries
        if not entry.value.hosts
    }
    merger = _Merger(delegates, export_to, remarks, memo)
    return [merger.merged(entry) for entry in entries if entry.value.hosts]


class _Merger:
    def __init__(
        self,
        delegates: dict[tuple[str, str], Entry[VirtualService]],
        export_to: tuple[str, ...],
        remarks: Remarks,
        memo: Memo,
    ) -> None:
        self._delegates = delegates
        self._export_to = export_to
        self._remarks = remarks
        self._memo = memo

    def merged(self, root: Entry[VirtualService]) -> Entry[VirtualService]:
        if not any(route.delegate for route in root.value.http):
            return root
        used = tuple(
            self._find(root, at) if route.delegate else None
            for at, route in enumerate(root.value.http)
        )
        for at, delegate in enumerate(used):
            if delegate is not None:
                self._remark_conflicts(root.value.http[at], delegate)
        meta = root.value.meta
        value = self._memo.get(
            ("delegates", meta.namespace, meta.name),
            (root.value, *(None if each is None else each.value for each in used)),
            partial(_merge, root.value, used),
        )
        return root._replace(value=value)

    def _find(self, root: Entry[VirtualService], at: int) -> Entry[VirtualService] | None:
        """Who a route is left to; None, with a remark, where there is nobody."""
        own = root.value.meta.namespace
        namespace, _, name = root.value.http[at].delegate.partition("/")
        found = self._delegates.get((namespace or own, name))
        fault = mend = ""
        if found is None:
            fault = f"there is no VirtualService {namespace or own}/{name} without hosts"
            mend = "add it, or mend the name"
        elif not is_visible(found.value.export_to, self._export_to, namespace or own, own):
            fault = f"{found.value.meta} is not exported to {own}"
            mend = f"add {own} to its exportTo"
        if fault:
            path = ("spec", "http", at, "delegate")
            self._remarks.warn(root, path, f"{fault}: {_LEFT_OUT}", mend)
            return None
        return found

    def _remark_conflicts(self, root: HttpRoute, delegate: Entry[VirtualService]) -> None:
        for at, route in enumerate(delegate.value.http):
            if merge_matches(root.matches, route.matches) is None:
                text = f"is not narrower than the match that delegates here: {_LEFT_OUT}"
                mend = "match a part of what that route matches, by exact or prefix"
                self._remarks.warn(delegate, ("spec", "http", at, "match"), text, mend)


def _merge(root: VirtualService, used: tuple[Entry[VirtualService] | None, ...]) -> VirtualService:
    routes: list[HttpRoute] = []
    for route, delegate in zip(root.http, used, strict=True):
        if delegate is not None:
            merged = (merge_route(route, own, delegate.value) for own in delegate.value.http)
            routes += [each for each in merged if each is not None]
        elif not route.delegate:
            routes.append(route)
    return replace(root, http=tuple(routes))


def merge_route(root: HttpRoute, own: HttpRoute, delegate: VirtualService) -> HttpRoute | None:
    """A delegate's route in the place of its root's; None where their matches exclude each other.

    What the delegate does not say holds as the root says it. Its short names stay those of its own
    namespace.
    """
    matches = merge_matches(root.matches, own.matches)
    if matches is None:
        return None
    edits = own if _edits(own) else root
    namespace = delegate.meta.namespace
    return replace(
        own,
        matches=matches,
        name=_joined(root.name, own.name),
        arms=tuple(
            replace(arm, destination=replace(arm.destination, namespace=namespace))
            for arm in own.arms
        ),
        rewrite=own.rewrite or root.rewrite,
        direct=own.direct or root.direct,
        timeout=own.timeout or root.timeout,
        cors=own.cors or root.cors,
        request_headers=edits.request_headers,
        response_headers=edits.response_headers,
        authority=edits.authority,
    )


def _edits(route: HttpRoute) -> bool:
    return bool(route.request_headers or route.response_headers or route.authority)


def _joined(first: str, second: str) -> str:
    return f"{first}-{second}" if first and second else first or second


def merge_matches(
    roots: tuple[HttpMatch, ...], leaves: tuple[HttpMatch, ...]
) -> tuple[HttpMatch, ...] | None:
    """Every pair that fits; None where one of the delegate's fits none of the root's."""
    if not roots or not leaves:
        return roots or leaves
    found: list[HttpMatch] = []
    for leaf in leaves:
        fitting = [_merge_match(root, leaf) for root in roots if not _conflict(root, leaf)]
        if not fitting:
            return None
        found += fitting
    return tuple(found)


def _merge_match(root: HttpMatch, leaf: HttpMatch) -> HttpMatch:
    wide, narrow = root.match, leaf.match
    return HttpMatch(
        RouteMatch(
            narrow.path or wide.path,
            narrow.method or wide.method,
            narrow.authority or wide.authority,
            narrow.scheme or wide.scheme,
            _merge_named(wide.headers, narrow.headers),
            _merge_named(wide.query, narrow.query),
        ),
        _joined(root.name, leaf.name),
        leaf.port or root.port,
        leaf.gateways or root.gateways,
        {**root.source_labels, **leaf.source_labels},
        leaf.source_namespace or root.source_namespace,
        root.claims + leaf.claims,
        leaf.ignore_case,
    )


def _merge_named(
    wide: tuple[HeaderMatch, ...], narrow: tuple[HeaderMatch, ...]
) -> tuple[HeaderMatch, ...]:
    merged = {(each.name, each.invert): each for each in (*wide, *narrow)}
    return tuple(merged[key] for key in sorted(merged))


def _conflict(root: HttpMatch, leaf: HttpMatch) -> bool:
    """Istio `hasConflict`: whether the two can't be one, because the leaf is not narrower."""
    wide, narrow = root.match, leaf.match
    return (
        excluded(wide.path, narrow.path)
        or excluded(wide.scheme, narrow.scheme)
        or excluded(wide.method, narrow.method)
        or excluded(wide.authority, narrow.authority)
        or _named_conflict(wide.headers, narrow.headers)
        or _named_conflict(wide.query, narrow.query)
        or root.ignore_case != leaf.ignore_case
        or bool(root.port and leaf.port and root.port != leaf.port)
        or bool(root.source_namespace and leaf.source_namespace != root.source_namespace)
        or any(root.source_labels.get(name, value) != value
               for name, value in leaf.source_labels.items())
        or bool(root.gateways and not set(leaf.gateways) <= set(root.gateways))
    )  # fmt: skip


def _named_conflict(wide: tuple[HeaderMatch, ...], narrow: tuple[HeaderMatch, ...]) -> bool:
    known = {(each.name, each.invert): each.match for each in wide}
    return any(excluded(known.get((each.name, each.invert)), each.match) for each in narrow)


def excluded(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether a leaf's match of a text is not known to be narrower than its root's.

    Of a regular expression nobody knows: it may stand on one side alone.
    """
    if root is None or leaf is None:
        return False
    if root.kind is MatchKind.EXACT and root.value:
        return (leaf.kind, leaf.value) != (root.kind, root.value)
    if root.kind is MatchKind.PREFIX and root.value and leaf.value:
        plain = leaf.kind in (MatchKind.EXACT, MatchKind.PREFIX)
        return not plain or not leaf.value.startswith(root.value)
    return True
