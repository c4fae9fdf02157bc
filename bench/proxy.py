"""Envoy's configuration: a listener on a Unix socket for each way to decide about a request."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.http_load import BODY
from bench.work import AUDIENCE, FORWARDED, ISSUER

Part = dict[str, Any]
_TYPE: Final = "type.googleapis.com/envoy.extensions"
_UPSTREAM: Final = "upstream"


def write_upstream(path: Path, listens_on: Path) -> None:
    """Writes the configuration of an Envoy that answers everything itself."""
    answer = {"status": 200, "body": {"inline_string": BODY.decode()}}
    _write(path, [_listener(listens_on, {"direct_response": answer}, [])], [])


def write_proxy(
    path: Path,
    listens_on: Mapping[Path, Sequence[Part]],
    asks: Mapping[str, Path],
    upstream: Path,
) -> None:
    """Writes the configuration of an Envoy before that: by socket, the filters of its requests.

    `asks` has the sockets of the gRPC servers that filters name.
    """
    route = {"route": {"cluster": _UPSTREAM}}
    listeners = [_listener(socket, route, filters) for socket, filters in listens_on.items()]
    clusters = [_cluster(_UPSTREAM, upstream)]
    clusters += [{**_cluster(name, socket), **_HTTP2} for name, socket in asks.items()]
    _write(path, listeners, clusters)


def jwt_authn(jwks: Mapping[str, Any], remembers: bool) -> Part:
    """Envoy's own filter, for tokens of the benchmark, with or without its token cache."""
    claims = [{"header_name": name, "claim_name": claim} for name, claim in FORWARDED.items()]
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "claim_to_headers": claims,
        "local_jwks": {"inline_string": json.dumps(jwks)},
        **({"jwt_cache_config": {"jwt_cache_size": 100}} if remembers else {}),
    }
    return _filter(
        "jwt_authn",
        "JwtAuthentication",
        providers={"issuer": provider},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
    )


def ext_authz(server: str) -> Part:
    """The filter that asks a gRPC server, as docs/envoy.md has it, but with time enough for both
    on a machine that is busy with something else."""
    return _filter(
        "ext_authz",
        "ExtAuthz",
        transport_api_version="V3",
        encode_raw_headers=True,
        failure_mode_allow=False,
        status_on_error={"code": "ServiceUnavailable"},
        grpc_service={"envoy_grpc": {"cluster_name": server}, "timeout": "10s"},
    )


_HTTP2: Final = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}


def _write(path: Path, listeners: Sequence[Part], clusters: Sequence[Part]) -> None:
    resources = {"listeners": listeners, "clusters": clusters}
    path.write_text(json.dumps({"static_resources": resources}))


def _listener(socket: Path, action: Part, filters: Sequence[Part]) -> Part:
    routes = [{"match": {"prefix": "/"}, **action}]
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "ingress",
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]
            },
            "http_filters": [*filters, _filter("router", "Router")],
        },
    }
    return {"address": {"pipe": {"path": str(socket)}}, "filter_chains": [{"filters": [manager]}]}


def _filter(name: str, kind: str, **settings: Any) -> Part:
    settings["@type"] = f"{_TYPE}.filters.http.{name}.v3.{kind}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": settings}


def _cluster(name: str, socket: Path) -> Part:
    endpoint = {"address": {"pipe": {"path": str(socket)}}}
    endpoints = [{"lb_endpoints": [{"endpoint": endpoint}]}]
    return {
        "name": name,
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
