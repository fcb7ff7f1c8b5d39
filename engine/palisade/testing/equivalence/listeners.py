"""The Envoy that is asked: a listener with the sidecar's own filters, and a witness among them.

Everything that reads a request is taken from the sidecar's bootstrap, and every slot is filled with what the
sidecar gets. Three things are added: an ext_authz filter that shows each request to the witness and lets it
pass, a PROXY header by which requests come from any address, and an answer in place of the function's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from envoy.config.core.v3.address_pb2 import Address, Pipe
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2  # noqa: F401 - parsed from the bootstrap
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import ExecuteFilterAction
from envoy.extensions.filters.http.custom_response.v3.custom_response_pb2 import CustomResponse
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import BufferSettings, ExtAuthz
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config as Captures
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.http.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import (  # noqa: F401 - likewise
    header_mutation_pb2,
)
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401 - parsed from the sidecar's
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.decide.body import BODY_BYTES
from palisade.decide.input import JWT_METADATA
from palisade.enforce.envoy.compile import ASK, ATTRIBUTES, NATIVE, RESIDUAL_CLUSTER, TOLD
from palisade.enforce.envoy.matchers.captures import CAPTURES
from palisade.testing.equivalence.callers import Certificates
from palisade.testing.equivalence.subject import Subject, follow_proxy
from palisade_sidecar.bootstrap import SLOTS, bootstrap
from palisade_sidecar.downstream_tls import transport_socket
from palisade_sidecar.engine_cluster import residual_cluster
from palisade_sidecar.late import late_in_parts, part
from palisade_sidecar.settings import Address as SidecarAddress
from palisade_sidecar.settings import Settings, Tls

CONTROL, WITNESS = "control", "witness"
REACHED = "x-palisade-reached"
"""The answers of the function's stand-in carry this header."""
DECIDED = "x-palisade-decided-"
"""Answers to several subjects' requests carry what each would do in headers that begin so."""

_PATIENCE = 30
"""So many seconds Envoy waits for the witness and for the engine."""

_HERE = SidecarAddress("127.0.0.1", 1)


def settings(subject: Subject | None = None) -> Settings:
    """The settings of the subject's sidecar, as far as they say how a request is read."""
    function = None if subject is None else subject.function
    return Settings(
        function="verified",
        engine=_HERE,
        upstream=_HERE,
        listen=_HERE,
        credentials=Path(),
        run_dir=Path(),
        trusted_hops=function.trusted_hops if function else 0,
        escaped_slashes=function.escaped_slashes if function else "reject",
        tls=Tls(client_certificate=function.tls.client_certificate) if function and function.tls else None,
    )


def start(folder: Path) -> dict[str, Any]:
    """The bootstrap of an Envoy that takes its listeners from `control.sock` in the folder."""
    services = (CONTROL, WITNESS, RESIDUAL_CLUSTER)
    return {
        "node": {"id": "verify", "cluster": "palisade"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": CONTROL}}],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                _cluster(name, socket_of(folder, name), _over_http2() if name == CONTROL else _as_asked())
                for name in services
            ]
        },
        "layered_runtime": bootstrap(settings())["layered_runtime"],
    }


def socket_of(folder: Path, name: str) -> Path:
    """Where a service is served, in the folder of the Envoy that asks it."""
    return folder / f"{name}.sock"


def _over_http2() -> dict[str, Any]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        options: {
            "@type": f"type.googleapis.com/{options}",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }


def _as_asked() -> dict[str, Any]:
    """The protocol by which sidecars ask the engine."""
    options: dict[str, Any] = residual_cluster(settings())["typed_extension_protocol_options"]
    return options


def _cluster(name: str, path: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(path)}}}}
    return {
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": protocol,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def enforcing(subject: Subject, path: Path, name: str, certificates: Certificates) -> Listener:
    """A listener that does with requests what the subject's sidecar would."""
    filters = []
    parts = subject.enforcement.parts
    for slot in SLOTS:
        config = _config(subject, slot.name)
        if slot.name == TOLD and slot.when is not None and parts is not None and parts.told:
            filters.append(_placed(subject, late_in_parts(slot.name, slot.when, {}, slot.parts, {})))
        else:
            filters.append(hcm.HttpFilter(name=slot.name, typed_config=config))
        if slot.name == NATIVE and parts is not None:
            filters.append(_placed(subject, part(slot.name, slot.parts, {})))
        if slot.name == ATTRIBUTES:
            filters.append(_witness())
    if subject.answers:
        filters.append(_witness("function"))  # what the function gets: decisions change headers
    return _listener(subject, filters, path, name, certificates, [])


def reporting(subjects: Sequence[Subject], path: Path, name: str, certificates: Certificates) -> Listener:
    """A listener whose answers tell what the native filter of each subject would do: many at once.

    The subjects have the same providers, function settings and revision, and none is in parts.
    """
    if any(each.parts > 1 for each in subjects):
        raise ValueError("a decision in parts is told by no filter alone: compile it with divisible=False")
    first = subjects[0]
    filters = []
    reports = []
    for slot in SLOTS:
        config = first.slot(slot.name)
        if slot.name == ATTRIBUTES:
            filters.append(_filter(slot.name, _together(subjects)))
            filters.append(_witness())
        elif slot.name == CAPTURES:
            filters.append(_filter(slot.name, _captured(subjects)))
        elif slot.name == NATIVE:
            for at, each in enumerate(subjects):
                enforced = RBAC()
                each.slot(NATIVE).Unpack(enforced)
                shadow = RBAC(shadow_matcher=enforced.matcher, shadow_rules_stat_prefix=f"s{at}_")
                if each.follows_proxy:
                    follow_proxy(shadow)
                filters.append(_filter(f"{NATIVE}.{at}", shadow))
                result, action = (
                    f"%DYNAMIC_METADATA(envoy.filters.http.rbac:s{at}_{key})%"
                    for key in ("shadow_engine_result", "shadow_effective_policy_id")
                )
                reports.append((f"{DECIDED}{at}", f"{result},{action}"))
            break
        else:
            filters.append(hcm.HttpFilter(name=slot.name, typed_config=config))
    return _listener(first, filters, path, name, certificates, reports)


def _config(subject: Subject, name: str) -> AnyMessage:
    """What the subject's sidecar gets for a filter of this name."""
    config = subject.slot(name)
    if name == ASK:
        config = _patient(config)
    followed = name.startswith((ATTRIBUTES, NATIVE, TOLD, ASK)) and subject.follows_proxy
    return _following(config) if followed else config


def _patient(config: AnyMessage) -> AnyMessage:
    """The question to the engine, behind its gate or not, with time to answer: a busy machine that is late
    decides nothing."""
    if config.Is(ExtensionWithMatcher.DESCRIPTOR):
        return _each_taken(config, _patient)
    question = ExtAuthz()
    if not config.Unpack(question):
        return config
    question.grpc_service.timeout.FromSeconds(_PATIENCE)
    return _packed(question)


def _placed(subject: Subject, late: dict[str, Any]) -> hcm.HttpFilter:
    """The bootstrap's filter that takes others from places, with what comes to each place put there."""
    filter_: hcm.HttpFilter = json_format.ParseDict(late, hcm.HttpFilter())
    composite = ExtensionWithMatcher()
    filter_.typed_config.Unpack(composite)
    _place(subject, composite.xds_matcher)
    filter_.typed_config.Pack(composite, deterministic=True)
    return filter_


def _outcomes(matcher: Matcher) -> list[Matcher.OnMatch]:
    outcomes = [each.on_match for each in matcher.matcher_list.matchers]
    return [*outcomes, matcher.on_no_match] if matcher.HasField("on_no_match") else outcomes


def _place(subject: Subject, matcher: Matcher) -> None:
    for each in _outcomes(matcher):
        if each.HasField("matcher"):
            _place(subject, each.matcher)
            continue
        name = each.action.name
        found = ExecuteFilterAction(
            typed_config=TypedExtensionConfig(name=name, typed_config=_config(subject, name))
        )
        each.action.typed_config.Pack(found, deterministic=True)


def _together(subjects: Sequence[Subject]) -> SetFilterState:
    """One filter that lays down what each of the subjects' filters does."""
    joined = SetFilterState()
    known: set[str] = set()
    for each in subjects:
        config = SetFilterState()
        each.slot(ATTRIBUTES).Unpack(config)
        if each.follows_proxy:
            follow_proxy(config)
        for value in config.on_request_headers:
            if value.object_key not in known:
                known.add(value.object_key)
                joined.on_request_headers.add().CopyFrom(value)
    return joined


def _captured(subjects: Sequence[Subject]) -> Captures:
    """One filter that captures what each of the subjects' filters does."""
    joined = Captures()
    for each in subjects:
        config = Captures()
        each.slot(CAPTURES).Unpack(config)
        joined.request_rules.extend(rule for rule in config.request_rules if rule not in joined.request_rules)
    return joined


def _each_taken(config: AnyMessage, change: Callable[[AnyMessage], AnyMessage]) -> AnyMessage:
    """A composite filter with each filter changed that it may take, alone or in a chain."""
    composite = ExtensionWithMatcher()
    config.Unpack(composite)
    _change_taken(composite.xds_matcher, change)
    return _packed(composite)


def _change_taken(matcher: Matcher, change: Callable[[AnyMessage], AnyMessage]) -> None:
    for outcome in _outcomes(matcher):
        action = ExecuteFilterAction()
        if outcome.HasField("matcher"):
            _change_taken(outcome.matcher, change)
        elif outcome.action.typed_config.Unpack(action):
            for each in (action.typed_config, *action.filter_chain.typed_config):
                if each.HasField("typed_config"):
                    each.typed_config.CopyFrom(change(each.typed_config))
            outcome.action.typed_config.Pack(action, deterministic=True)


def _following(config: AnyMessage) -> AnyMessage:
    """The decision as for addresses that the PROXY header names, also where a composite filter runs it."""
    if config.Is(ExtensionWithMatcher.DESCRIPTOR):
        return _each_taken(config, _following)
    for kind in (SetFilterState, RBAC, HeaderMutation, CustomResponse):
        found = kind()
        if config.Unpack(found):
            follow_proxy(found)
            return _packed(found)
    return config


def _witness(name: str = WITNESS) -> hcm.HttpFilter:
    """It sees bodies whether or not the engine would: the compiler's word on that is what is verified."""
    config = ExtAuthz(
        transport_api_version="V3",
        grpc_service=GrpcService(
            envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=WITNESS), timeout=Duration(seconds=_PATIENCE)
        ),
        metadata_context_namespaces=[JWT_METADATA],
    )
    config.with_request_body.CopyFrom(
        BufferSettings(max_request_bytes=BODY_BYTES, allow_partial_message=True, pack_as_bytes=True)
    )
    return _filter(name, config)


def _listener(
    subject: Subject,
    filters: Sequence[hcm.HttpFilter],
    path: Path,
    name: str,
    certificates: Certificates,
    reports: Sequence[tuple[str, str]],
) -> Listener:
    listener = Listener(name=name, address=Address(pipe=Pipe(path=str(path))))
    listener.listener_filters.add(name="proxy_protocol").typed_config.CopyFrom(_packed(ProxyProtocol()))
    manager = _manager(subject)
    manager.http_filters.extend(filters)
    manager.http_filters.append(_filter("router", Router()))
    manager.route_config.CopyFrom(_routes(reports))
    chain = listener.filter_chains.add()
    network = chain.filters.add(name="envoy.filters.network.http_connection_manager")
    network.typed_config.CopyFrom(_packed(manager))
    tls = settings(subject).tls
    if tls is not None:
        json_format.ParseDict(_transport_socket(subject, tls, certificates), chain.transport_socket)
    return listener


def _transport_socket(subject: Subject, tls: Tls, certificates: Certificates) -> dict[str, Any]:
    """That of the subject's sidecar, with certificates of the run in place of those in files."""
    found = transport_socket(settings(subject), tls)
    common = found["typed_config"]["common_tls_context"]
    del common["tls_certificate_sds_secret_configs"]
    chain, key = (part.decode() for part in (certificates.server.certificate, certificates.server.key))
    common["tls_certificates"] = [
        {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    ]
    if common.pop("validation_context_sds_secret_config", None):
        authority = certificates.authority.decode()
        common["validation_context"] = {"trusted_ca": {"inline_string": authority}}
    return found


def _manager(subject: Subject) -> hcm.HttpConnectionManager:
    """The sidecar's connection manager without its filters, routes and access log."""
    listener = bootstrap(settings(subject))["static_resources"]["listeners"][0]
    own = dict(listener["filter_chains"][0]["filters"][0]["typed_config"])
    for key in ("@type", "http_filters", "route_config", "access_log"):
        own.pop(key)
    manager: hcm.HttpConnectionManager = json_format.ParseDict(own, hcm.HttpConnectionManager())
    manager.always_set_request_id_in_response = True
    # What ends a connection is refused the sooner; it changes nothing of what is.
    manager.delayed_close_timeout.FromMilliseconds(2)
    return manager


def _routes(reports: Sequence[tuple[str, str]]) -> RouteConfiguration:
    host = VirtualHost(name="function", domains=["*"])
    for _ in range(2):
        route: Route = host.routes.add()
        route.direct_response.status = 200
        for key, value in ((REACHED, "1"), *reports):
            route.response_headers_to_add.add(header=HeaderValue(key=key, value=value))
    host.routes[0].match.safe_regex.regex = "(?s).*"
    host.routes[1].match.connect_matcher.SetInParent()
    return RouteConfiguration(name="function", virtual_hosts=[host])


def _filter(name: str, message: Message) -> hcm.HttpFilter:
    return hcm.HttpFilter(name=name, typed_config=_packed(message))


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed
