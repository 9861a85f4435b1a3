"""One rule of an AuthorizationPolicy: who (``from``), what (``to``), and on which terms (``when``).

Rules of form are Istio's (`ValidateAuthorizationPolicy`, `pkg/config/security`).
"""

from __future__ import annotations

import re
from ipaddress import ip_network

from meshproxy.translate.fields import Fields
from meshproxy.translate.names import is_label, is_port
from meshproxy.translate.problems import did_you_mean

_SOURCE = (
    "principals",
    "requestPrincipals",
    "namespaces",
    "serviceAccounts",
    "trustDomains",
    "ipBlocks",
    "remoteIpBlocks",
)
_OPERATION = ("hosts", "ports", "methods", "paths")
_TCP_SOURCE = ("principals", "namespaces", "ipBlocks", "remoteIpBlocks", "serviceAccounts")
_ATTRIBUTES = (
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
_INDEXED = re.compile(r"(?:request\.headers\[.+\]|request\.auth\.claims(?:\[[^\]]+\])+)\Z")
_EXPERIMENTAL = "experimental."
_TEMPLATE = re.compile(r"\{\*\*?\}")
# What an external authorizer is not told (Istio: not supported with CUSTOM).
_NOT_CUSTOM = ("namespaces", "principals", "requestPrincipals", "serviceAccounts")


def _negated(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def check_rule(rule: Fields, action: str) -> None:
    for name in ("from", "to"):
        if rule.has(name) and not rule.items(name):
            rule.error(name, "is empty", "remove it to mean everything")
    sources = [_check_source(entry, action) for entry in rule.mappings("from")]
    operations = [_check_operation(entry) for entry in rule.mappings("to")]
    for condition in rule.mappings("when"):
        _check_condition(condition, action)
    http_only = (bool(sources) and not operations and not any(sources)) or (
        bool(operations) and not any(operations)
    )
    if action == "DENY" and http_only:
        rule.report.warn(
            rule.path,
            "denies everything on TCP ports, because it asks for nothing but HTTP",
            "name the ports: to: [{operation: {ports: [...]}}]",
        )
    rule.close()


def _check_source(entry: Fields, action: str) -> bool:
    """Whether it asks for something that TCP connections have, too."""
    given = entry.has("source")
    entry.close()
    if not given:
        entry.error("source", "must be set", "remove the element to mean everybody")
        return False
    source = entry.mapping("source")
    lists = _read_lists(source, _SOURCE, "source")
    for name in ("ipBlocks", "remoteIpBlocks"):
        for field in (name, _negated(name)):
            _check_ips(source, field, lists[field])
    _check_accounts(source, lists)
    if action == "CUSTOM":
        for name in _NOT_CUSTOM:
            for field in (name, _negated(name)):
                if lists[field]:
                    source.error(field, "can't be used with action CUSTOM")
    source.close()
    return any(source.has(field) for name in _TCP_SOURCE for field in (name, _negated(name)))


def _check_accounts(source: Fields, lists: dict[str, tuple[str, ...]]) -> None:
    for field in ("serviceAccounts", "notServiceAccounts"):
        for at, account in enumerate(lists[field]):
            namespace, slash, name = account.rpartition("/")
            if not name or "/" in namespace or (slash and not is_label(namespace)):
                path = (*source.at(field), at)
                source.report.error(path, f"{account!r} is not NAMESPACE/NAME or NAME")
        others = [
            name for name in ("principals", "namespaces") if lists[name] or lists[_negated(name)]
        ]
        if lists[field] and others:
            source.error(field, f"can't stand beside {', '.join(others)}", "remove one of them")


def _check_operation(entry: Fields) -> bool:
    """Whether it asks for something that TCP connections have, too."""
    given = entry.has("operation")
    entry.close()
    if not given:
        entry.error("operation", "must be set", "remove the element to mean everything")
        return False
    operation = entry.mapping("operation")
    lists = _read_lists(operation, _OPERATION, "operation")
    for field in ("ports", "notPorts"):
        for at, port in enumerate(lists[field]):
            if not is_port(port):
                operation.report.error((*operation.at(field), at), f"{port!r} is not a port")
    for field in ("paths", "notPaths"):
        for at, path in enumerate(lists[field]):
            _check_template(operation, field, at, path)
    operation.close()
    return operation.has("ports") or operation.has("notPorts")


def _check_template(operation: Fields, field: str, at: int, path: str) -> None:
    """``{*}`` stands for one segment, ``{**}`` for any number, at most once and last of those."""
    where = (*operation.at(field), at)
    if not _TEMPLATE.search(path):
        return
    rest = _TEMPLATE.sub("", path)
    if "*" in rest or "{" in rest or "}" in rest:
        operation.report.error(where, f"{path!r} mixes templates with other wildcards")
    segments = path.split("/")
    if any("{" in segment and segment not in ("{*}", "{**}") for segment in segments):
        operation.report.error(where, f"{path!r}: a template is a whole segment")
    if "{**}" in segments and "{**}" in segments[segments.index("{**}") + 1 :]:
        operation.report.error(where, f"{path!r} has {{**}} twice")
    if "{**}" in segments and "{*}" in segments[segments.index("{**}") + 1 :]:
        operation.report.error(where, f"{path!r} has {{*}} after {{**}}")


def _read_lists(fields: Fields, names: tuple[str, ...], what: str) -> dict[str, tuple[str, ...]]:
    """All lists by name, each with its negation; empty texts in them are errors."""
    found = {}
    for name in (field for base in names for field in (base, _negated(base))):
        found[name] = fields.texts(name)
        for at, value in enumerate(found[name]):
            if not value:
                fields.report.error((*fields.at(name), at), "is empty", "remove it")
    if not any(found.values()):
        fields.report.error(fields.path, f"{what} asks for nothing", "remove it to mean everything")
    return found


def _check_ips(fields: Fields, name: str, blocks: tuple[str, ...]) -> None:
    for at, block in enumerate(blocks):
        try:
            ip_network(block, strict=False)
        except ValueError:
            fields.report.error((*fields.at(name), at), f"{block!r} is not an IP address or subnet")


def _check_condition(condition: Fields, action: str) -> None:
    key = condition.required("key")
    values, others = condition.texts("values"), condition.texts("notValues")
    if key and not values and not others:
        condition.error("values", "values or notValues must be set")
    if key and not _is_attribute(key):
        condition.error("key", f"{key!r} is not an attribute", did_you_mean(key, _ATTRIBUTES))
    for name, given in (("values", values), ("notValues", others)):
        if key in ("source.ip", "remote.ip", "destination.ip"):
            _check_ips(condition, name, given)
        elif key == "destination.port":
            for at, port in enumerate(given):
                if not is_port(port):
                    condition.report.error((*condition.at(name), at), f"{port!r} is not a port")
    if action == "CUSTOM" and (
        key in ("source.namespace", "source.principal") or key.startswith("request.auth.")
    ):
        condition.error("key", f"{key} can't be used with action CUSTOM")
    condition.close()


def _is_attribute(key: str) -> bool:
    return key in _ATTRIBUTES or key.startswith(_EXPERIMENTAL) or _INDEXED.match(key) is not None
