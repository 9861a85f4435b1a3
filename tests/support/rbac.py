"""AuthorizationPolicies as the RBAC filters that Istio gives Envoy, and these filters evaluated.

`filters` follows `pilot/pkg/security/authz` and knows nothing of our own translation; the tests
hold it to Istio's own examples. `decision` says what Envoy's documentation of the filter says, for
machines without an Envoy. Tokens are left out: `filters` is for policies that ask for none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Json = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions."
_TEMPLATE = _TYPES + "path.match.uri_template.v3.UriTemplateMatchConfig"
_SEGMENT = r"[a-zA-Z0-9\-._~%!$&'()*+,;:@=]"
_HTTP_ONLY = {"requestPrincipals", "hosts", "methods", "paths"}


class HttpOnly(Exception):
    """The field means nothing on TCP."""


# From policies to filters.


def filters(policies: Iterable[Mapping[str, Any]], tcp: bool) -> list[Json]:
    """The filters in their order: AUDIT, DENY, ALLOW."""
    found = []
    for action in ("AUDIT", "DENY", "ALLOW"):
        chosen = [each for each in policies if each["spec"].get("action", "ALLOW") == action]
        if chosen:
            found.append(_filter(chosen, action, tcp))
    return found


def _filter(policies: list[Mapping[str, Any]], action: str, tcp: bool) -> Json:
    kind = "network" if tcp else "http"
    config: Json = {"@type": f"{_TYPES}filters.{kind}.rbac.v3.RBAC"}
    if tcp:
        config["statPrefix"] = "tcp."
    for name, dry in (("rules", False), ("shadowRules", True)):
        chosen = [each for each in policies if _is_dry(each) is dry]
        if chosen:
            config[name] = {} if action == "ALLOW" else {"action": _ACTIONS[action]}
            rules = _policies(chosen, action, tcp)
            if rules:
                config[name]["policies"] = rules
    config["shadowRulesStatPrefix"] = f"istio_dry_run_{action.lower()}_"
    return {"name": f"envoy.filters.{kind}.rbac", "typedConfig": config}


_ACTIONS = {"AUDIT": "LOG", "DENY": "DENY"}


def _is_dry(policy: Mapping[str, Any]) -> bool:
    annotations = policy["metadata"].get("annotations") or {}
    return bool(annotations.get("istio.io/dry-run") == "true")


def _policies(policies: list[Mapping[str, Any]], action: str, tcp: bool) -> Json:
    found: Json = {}
    for policy in policies:
        meta = policy["metadata"]
        start = f"ns[{meta['namespace']}]-policy[{meta['name']}]-rule"
        rules = policy["spec"].get("rules") or []
        for at, rule in enumerate(rules):
            try:
                found[f"{start}[{at}]"] = _Rule(meta["namespace"], action, tcp).policy(rule)
            except HttpOnly:
                continue
        if not rules:
            never = {"permissions": [{"notRule": {"any": True}}]}
            found[f"{start}[0]"] = {**never, "principals": [{"notId": {"any": True}}]}
    return found


@dataclass
class _Rule:
    namespace: str
    action: str
    tcp: bool

    def policy(self, rule: Mapping[str, Any]) -> Json:
        when = rule.get("when", [])
        permissions = [
            self._and(self._fields(each["operation"], _PERMISSIONS), when, _PERMISSIONS, "Rule")
            for each in rule.get("to", [])
        ] or [self._and([], when, _PERMISSIONS, "Rule")]
        principals = [
            self._and(self._fields(each["source"], _PRINCIPALS), when, _PRINCIPALS, "Id")
            for each in rule.get("from", [])
        ] or [self._and([], when, _PRINCIPALS, "Id")]
        return {"permissions": permissions, "principals": principals}

    def _fields(self, given: Mapping[str, Any], table: Mapping[str, Any]) -> list[Any]:
        return [
            (name, given.get(name, []), given.get(_negated(name), []))
            for name in table
            if "." not in name
        ]

    def _and(
        self, fields: list[Any], when: list[Json], table: Mapping[str, Any], noun: str
    ) -> Json:
        for each in when:
            if _row(each["key"], table):
                fields = [*fields, (each["key"], each.get("values", []), each.get("notValues", []))]
        parts = []
        for name, values, others in fields:
            asked = self._values(name, values, table)
            if asked:
                parts.append(_or(asked, noun))
            refused = self._values(name, others, table)
            if refused:
                parts.append({f"not{noun}": _or(refused, noun)})
        return {f"and{noun}s": {f"{noun.lower()}s": parts or [{"any": True}]}}

    def _values(self, name: str, values: Iterable[str], table: Mapping[str, Any]) -> list[Json]:
        if self.tcp and list(values) and (name in _HTTP_ONLY or name.startswith("request.")):
            if self.action == "ALLOW":
                raise HttpOnly(name)
            return []
        make = _row(name, table)
        return [make(name, value, self.namespace) for value in values]


def _negated(name: str) -> str:
    return f"not{name[0].upper()}{name[1:]}"


def _or(parts: list[Json], noun: str) -> Json:
    return {f"or{noun}s": {f"{noun.lower()}s": parts}}


def _row(name: str, table: Mapping[str, Any]) -> Any:
    return table.get("request.headers" if name.startswith("request.headers[") else name)


def _string(value: str, prefix: str = "") -> Json:
    if value == "*":
        return {"safeRegex": {"regex": ".+"}}
    if value.startswith("*"):
        if not prefix:
            return {"suffix": value[1:]}
        return {"safeRegex": {"regex": f"{prefix}.*{_quote(value[1:])}"}}
    if value.endswith("*"):
        return {"prefix": prefix + value[:-1]}
    return {"exact": prefix + value}


def _quote(text: str) -> str:
    """Go's regexp.QuoteMeta."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


def _header(name: str, value: str, **more: bool) -> Json:
    if value == "*":
        return {"header": {"name": name, "presentMatch": True}}
    return {"header": {"name": name, "stringMatch": {**_string(value), **more}}}


def _path(field: str, value: str, namespace: str) -> Json:
    if "{*}" in value or "{**}" in value:
        template = value.replace("{*}", "*").replace("{**}", "**")
        config = {"@type": _TEMPLATE, "pathTemplate": template}
        return {"uriTemplate": {"name": "uri-template", "typedConfig": config}}
    return {"urlPath": {"path": _string(value)}}


def _block(value: str) -> Json:
    network = ip_network(value, strict=False)
    address = value.partition("/")[0]
    return {"addressPrefix": address, "prefixLen": network.prefixlen}


def _authenticated(match: Json) -> Json:
    return {"authenticated": {"principalName": match}}


def _regex(pattern: str) -> Json:
    return _authenticated({"safeRegex": {"regex": pattern}})


def _account(field: str, value: str, namespace: str) -> Json:
    own, _, name = value.rpartition("/")
    own, name = _quote(own or namespace), _quote(name)
    return _regex(f"spiffe://.+/ns/{own}/(.+/|)sa/{name}(/.+)?")


def _in_namespace(field: str, value: str, namespace: str) -> Json:
    return _regex(".*/ns/" + ".*".join(_quote(each) for each in value.split("*")) + "/.*")


def _in_domain(field: str, value: str, namespace: str) -> Json:
    if "*" not in value:
        return _authenticated({"prefix": f"spiffe://{value}/"})
    quoted = "[^/]*".join(_quote(each) for each in value.split("*"))
    return _regex(f"spiffe://{quoted}/.*")


def _principal(field: str, value: str, namespace: str) -> Json:
    return _authenticated(_string(value, "spiffe://"))


def _direct_ip(field: str, value: str, namespace: str) -> Json:
    return {"directRemoteIp": _block(value)}


def _remote_ip(field: str, value: str, namespace: str) -> Json:
    return {"remoteIp": _block(value)}


def _port(field: str, value: str, namespace: str) -> Json:
    return {"destinationPort": int(value)}


_PERMISSIONS: Json = {
    "hosts": lambda field, value, namespace: _header(":authority", value, ignoreCase=True),
    "methods": lambda field, value, namespace: _header(":method", value),
    "paths": _path,
    "ports": _port,
    "destination.ip": lambda field, value, namespace: {"destinationIp": _block(value)},
    "destination.port": _port,
    "connection.sni": lambda field, value, namespace: {"requestedServerName": _string(value)},
}
_PRINCIPALS: Json = {
    "serviceAccounts": _account,
    "trustDomains": _in_domain,
    "principals": _principal,
    "namespaces": _in_namespace,
    "remoteIpBlocks": _remote_ip,
    "ipBlocks": _direct_ip,
    "source.ip": _direct_ip,
    "remote.ip": _remote_ip,
    "source.namespace": _in_namespace,
    "source.principal": _principal,
    "source.serviceAccount": _account,
    "source.trustDomain": _in_domain,
    "request.headers": lambda field, value, namespace: _header(field[16:-1], value),
}


# Filters evaluated.


@dataclass(frozen=True)
class Asked:
    """A request, or a TCP connection where ``http`` is False. ``identity`` is a SPIFFE ID."""

    http: bool = True
    identity: str = ""
    source: str = "192.0.2.1"
    remote: str = ""
    destination: str = "192.0.2.2"
    port: int = 1
    sni: str = ""
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)


def decision(found: Iterable[Mapping[str, Any]], asked: Asked) -> tuple[bool, str]:
    """Whether all filters let it pass, and which policy refused it."""
    for each in found:
        rules = each["typedConfig"].get("rules")
        if rules is None or rules.get("action") == "LOG":
            continue
        matched = first_policy(rules, asked)
        if rules.get("action") == "DENY" and matched:
            return False, matched
        if rules.get("action", "ALLOW") == "ALLOW" and not matched:
            return False, "none"
    return True, ""


def first_policy(rules: Mapping[str, Any], asked: Asked) -> str:
    """The policy that matches, the first by name; "" for none."""
    for name, policy in sorted(rules.get("policies", {}).items()):
        if all(
            any(_holds(each, asked) for each in policy[part])
            for part in ("permissions", "principals")
        ):
            return str(name)
    return ""


def _holds(node: Mapping[str, Any], asked: Asked) -> bool:
    ((kind, value),) = node.items()
    match kind:
        case "any":
            return bool(value)
        case "andRules" | "andIds":
            return all(_holds(each, asked) for each in next(iter(value.values())))
        case "orRules" | "orIds":
            return any(_holds(each, asked) for each in next(iter(value.values())))
        case "notRule" | "notId":
            return not _holds(value, asked)
        case "header":
            return _header_holds(value, asked)
        case "urlPath":
            return _text_holds(value["path"], asked.path.partition("?")[0])
        case "uriTemplate":
            template = value["typedConfig"]["pathTemplate"]
            parts = re.split(r"(\*\*?)", template)
            meaning = {"*": f"{_SEGMENT}+", "**": f"{_SEGMENT[:-1]}/]*"}
            pattern = "".join(meaning.get(each) or re.escape(each) for each in parts)
            return re.fullmatch(pattern, asked.path.partition("?")[0]) is not None
        case "authenticated":
            return bool(asked.identity) and _text_holds(value["principalName"], asked.identity)
        case "requestedServerName":
            return _text_holds(value, asked.sni)
        case "destinationPort":
            return bool(value == asked.port)
        case "destinationIp":
            return _within(value, asked.destination)
        case "directRemoteIp":
            return _within(value, asked.source)
        case "remoteIp":
            return _within(value, asked.remote or asked.source)
        case "metadata":
            return False  # no filter sets any
    raise AssertionError(f"{kind} is not known here")


def _within(block: Mapping[str, Any], ip: str) -> bool:
    network = ip_network(f"{block['addressPrefix']}/{block['prefixLen']}", strict=False)
    return ip_address(ip) in network


def _header_holds(header: Mapping[str, Any], asked: Asked) -> bool:
    name = header["name"].lower()
    fields = {key.lower(): value for key, value in asked.headers.items()}
    value = asked.method if name == ":method" else fields.get(name)
    if header.get("presentMatch"):
        return value is not None
    return value is not None and _text_holds(header["stringMatch"], value)


def _text_holds(match: Mapping[str, Any], text: str) -> bool:
    wanted = {key: value for key, value in match.items() if key != "ignoreCase"}
    ((kind, value),) = wanted.items()
    if kind == "safeRegex":
        return re.fullmatch(value["regex"], text) is not None
    if match.get("ignoreCase"):
        value, text = value.lower(), text.lower()
    if kind == "exact":
        return bool(value == text)
    return text.startswith(value) if kind == "prefix" else text.endswith(value)
