"""One rule of an AuthorizationPolicy: who (``from``), what (``to``), and on which terms (``when``).

Rules of form are Istio's (`ValidateAuthorizationPolicy`, `pkg/config/security`).
"""

from __future__ import annotations

import re
from ipaddress import ip_network

from meshproxy.model.policy import Clause, Rule, Term
from meshproxy.translate.fields import Fields
from meshproxy.translate.kinds.common import check_size
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
_MOST_ACCOUNTS, _LONGEST_ACCOUNT = 16, 320  # the kind's OpenAPI schema
_TEMPLATE = re.compile(r"\{\*\*?\}")
# What an external authorizer is not told (Istio: not supported with CUSTOM).
_NOT_CUSTOM = ("namespaces", "principals", "requestPrincipals", "serviceAccounts")


def _negated(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def read_rule(rule: Fields, action: str) -> Rule:
    for name in ("from", "to"):
        if rule.has(name) and not rule.items(name):
            rule.error(name, "is empty", "remove it to mean everything")
    sources = [_read_source(entry, action) for entry in rule.mappings("from")]
    operations = [_read_operation(entry) for entry in rule.mappings("to")]
    conditions = tuple(_read_condition(each, action) for each in rule.mappings("when"))
    http_only = (
        bool(sources) and not operations and not any(_has(each, _TCP_SOURCE) for each in sources)
    ) or (bool(operations) and not any(_has(each, ("ports",)) for each in operations))
    if action == "DENY" and http_only:
        rule.report.warn(
            rule.path,
            "denies everything on TCP ports, because it asks for nothing but HTTP",
            "name the ports: to: [{operation: {ports: [...]}}]",
        )
    rule.close()
    return Rule(tuple(sources), tuple(operations), conditions)


def _has(clause: Clause, names: tuple[str, ...]) -> bool:
    return any(term.field in names for term in clause)


def _terms(lists: dict[str, tuple[str, ...]], names: tuple[str, ...]) -> Clause:
    return tuple(
        Term(name, lists[name], lists[_negated(name)])
        for name in names
        if lists[name] or lists[_negated(name)]
    )


def _read_source(entry: Fields, action: str) -> Clause:
    given = entry.has("source")
    entry.close()
    if not given:
        entry.error("source", "must be set", "remove the element to mean everybody")
        return ()
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
    return _terms(lists, _SOURCE)


def _check_accounts(source: Fields, lists: dict[str, tuple[str, ...]]) -> None:
    for field in ("serviceAccounts", "notServiceAccounts"):
        check_size(source, field, _MOST_ACCOUNTS)
        for at, account in enumerate(lists[field]):
            namespace, slash, name = account.rpartition("/")
            if len(account) > _LONGEST_ACCOUNT:
                path = (*source.at(field), at)
                source.report.error(path, f"is longer than {_LONGEST_ACCOUNT} characters")
            elif not name or "*" in name or "/" in namespace or (slash and not is_label(namespace)):
                path = (*source.at(field), at)
                source.report.error(path, f"{account!r} is not NAMESPACE/NAME or NAME")
        others = [
            name for name in ("principals", "namespaces") if lists[name] or lists[_negated(name)]
        ]
        if lists[field] and others:
            source.error(field, f"can't stand beside {', '.join(others)}", "remove one of them")


def _read_operation(entry: Fields) -> Clause:
    given = entry.has("operation")
    entry.close()
    if not given:
        entry.error("operation", "must be set", "remove the element to mean everything")
        return ()
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
    return _terms(lists, _OPERATION)


def _check_template(operation: Fields, field: str, at: int, path: str) -> None:
    """``{*}`` stands for one segment, ``{**}`` for any number, at most once and last of those."""
    where = (*operation.at(field), at)
    if not _TEMPLATE.search(path):
        if "{" in path or "}" in path:
            operation.report.error(where, f"{path!r}: of templates there are {{*}} and {{**}}")
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


def _read_condition(condition: Fields, action: str) -> Term:
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
    if key.startswith(_EXPERIMENTAL):
        _warn_experimental(condition, action)
    condition.close()
    return Term(key, values, others)


def _warn_experimental(condition: Fields, action: str) -> None:
    """What Envoy's filters say is not known here. As for requests on TCP, that makes less allowed
    and more denied; so the rest of the policy can be relied on."""
    if action == "ALLOW":
        effect = "so that this rule allows nothing"
    else:
        effect = "so that this rule holds for more: as if the condition were not there"
    text = f"metadata of Envoy's filters is not known in this build, {effect}"
    condition.warn("key", text, "remove the condition, or the rule")


def _is_attribute(key: str) -> bool:
    return key in _ATTRIBUTES or key.startswith(_EXPERIMENTAL) or _INDEXED.match(key) is not None
