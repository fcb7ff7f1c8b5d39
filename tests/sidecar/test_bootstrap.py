"""The bootstrap as text: valid for Envoy's API, closed by default, and without secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.grpc_http1_bridge.v3 import config_pb2 as bridge_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2
from envoy.extensions.resource_monitors.fixed_heap.v3 import fixed_heap_pb2
from envoy.extensions.resource_monitors.injected_resource.v3 import injected_resource_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from palisade.enforce.envoy import parts
from palisade.enforce.envoy.matchers import dealing
from palisade_sidecar.bootstrap import SLOTS, bootstrap
from palisade_sidecar.downstream_tls import tls_secrets
from palisade_sidecar.engine_cluster import secrets
from palisade_sidecar.settings import Address, Settings, SettingsError, Tls

# Protobuf unpacks from Any only what is loaded.
_LOADED = (
    file_pb2,
    cel_pb2,
    bridge_pb2,
    fault_pb2,
    router_pb2,
    http_connection_manager_pb2,
    header_mutation_pb2,
    downstream_connections_pb2,
    fixed_heap_pb2,
    injected_resource_pb2,
    secret_pb2,
    tls_pb2,
    http_protocol_options_pb2,
)


def settings(**changes: Any) -> Settings:
    given_ = {
        "function": "hello",
        "engine": Address("127.0.0.1", 18000),
        "upstream": Address("127.0.0.1", 8081),
        "listen": Address("127.0.0.1", 9081),
        "credentials": Path("/credentials"),
        "run_dir": Path("/run/palisade"),
        **changes,
    }
    return Settings(**given_)


def hcm(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"engine": Address("engine.example", 18000), "upstream": Address("::1", 80), "trusted_hops": 2},
        {"escaped_slashes": "keep", "upstream_protocol": "http2"},
        {"escaped_slashes": "unescape", "upstream_protocol": "http1", "listen": Address("0.0.0.0", 0)},
        {"tls": Tls()},
        {"tls": Tls(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"), "required")},
        {"tls": Tls(client_certificate="none")},
    ],
)
def test_it_is_valid_for_envoys_api(changes: dict[str, Any]) -> None:
    parsed = json_format.ParseDict(bootstrap(settings(**changes)), Bootstrap())
    assert parsed.node.id == "hello"


def test_what_asks_for_an_explanation_goes_no_further_and_no_function_answers_it() -> None:
    routes = hcm(bootstrap(settings()))["route_config"]
    assert routes["request_headers_to_remove"] == ["x-palisade-explain", "x-palisade-chunks"]
    assert routes["response_headers_to_remove"] == ["x-palisade-explanation"]


def slots(**changes: Any) -> list[Any]:
    """The filters that take what the engine sends, without the one that only takes the parts of a slot."""
    *found, _ = hcm(bootstrap(settings(**changes)))["http_filters"]
    return [slot for slot in found if slot["name"] != "palisade.native.part"]


def discovered(slot: Any) -> Any:
    """The slot itself, or what the one behind a wait picks for a request."""
    if "typed_config" not in slot:
        return slot
    [match] = slot["typed_config"]["xds_matcher"]["matcher_list"]["matchers"]
    found = match["on_match"]
    if "matcher" in found:  # the whole, where no part left the request to the engine
        found = found["matcher"]["on_no_match"]
    return found["action"]["typed_config"]["dynamic_config"]


def test_what_stands_behind_the_wait_for_a_body_is_never_replaced() -> None:
    """Envoy ends by SIGSEGV where a composite filter is replaced before a request gets to it."""
    waits = [slot["name"] for slot in slots()].index("palisade.body")
    assert all("typed_config" in slot for slot in slots()[waits + 1 :])
    assert all(discovered(slot)["name"] == slot["name"] for slot in slots())


def test_the_filter_that_takes_parts_is_never_replaced() -> None:
    """Envoy ended by SIGABRT where one went with the last request that had it, on that request's thread."""
    names = [each["name"] for each in hcm(bootstrap(settings()))["http_filters"]]
    at = names.index("palisade.native.part")
    assert names[at - 1] == "palisade.native"
    assert "typed_config" in hcm(bootstrap(settings()))["http_filters"][at]


def test_each_part_has_a_place_behind_the_wait_too() -> None:
    """One that had none would leave its requests with bodies to the engine for good."""
    written = json.dumps(bootstrap(settings()))
    found = set(re.findall(r'"name": "(palisade\.(?:native|told)\.[0-9]+)", "config_discovery"', written))
    names = {name(part) for part in range(dealing.PARTS) for name in (parts.name_of, parts.told_name_of)}
    assert found == names


def test_the_slots_stand_in_order_before_the_router_and_each_that_decides_is_closed_by_itself() -> None:
    """The two in which bodies are read can only spare a question to the engine, and what is captured before
    only time: they let pass what comes."""
    *_, router = hcm(bootstrap(settings()))["http_filters"]
    assert [slot["name"] for slot in slots()] == [
        "palisade.identity",
        "palisade.attributes",
        "palisade.captures",
        "palisade.native",
        "palisade.body",
        "palisade.told",
        "palisade.residual",
    ]
    assert [slot["name"] for slot in slots()] == [slot.name for slot in SLOTS]
    for slot in slots():
        discovery = discovered(slot)["config_discovery"]
        closed = {"http_status": 503, "percentage": {"numerator": 100}}
        if slot["name"] in ("palisade.captures", "palisade.body", "palisade.told"):
            assert discovery["default_config"].keys() == {"@type"}
        else:
            assert discovery["default_config"]["abort"] == closed
        assert discovery["apply_default_config_without_warming"] is True
    assert router["name"] == "envoy.filters.http.router"


def test_secrets_are_named_and_not_held() -> None:
    files = secrets(settings())
    assert set(files) == {"palisade_sidecar.json", "palisade_ca.json"}
    (certificate,) = files["palisade_sidecar.json"]["resources"]
    assert certificate["tls_certificate"]["private_key"] == {"filename": "/credentials/key.pem"}
    for content in files.values():
        (resource,) = content["resources"]
        json_format.ParseDict({k: v for k, v in resource.items() if k != "@type"}, secret_pb2.Secret())


def chain(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["static_resources"]["listeners"][0]["filter_chains"][0]
    return found


def test_without_tls_the_bootstrap_is_what_it_was() -> None:
    """A sidecar that has no `tls` is not started anew for what only others need."""
    plain, secured = bootstrap(settings()), bootstrap(settings(tls=Tls()))
    assert plain != secured
    assert tls_secrets(settings()) == {}
    filters = chain(secured)["filters"][0]["typed_config"]
    secured["static_resources"]["listeners"][0]["filter_chains"] = [{"filters": chain(secured)["filters"]}]
    assert filters["scheme_header_transformation"] == {"scheme_to_overwrite": "https"}
    for name in ("scheme_header_transformation", "access_log"):
        filters[name] = hcm(plain)[name]
    assert plain == secured


def test_callers_are_verified_as_the_settings_say_and_no_session_is_resumed_past_that() -> None:
    own = ["palisade_sidecar", "palisade_ca"]
    given_ = ["palisade_tls", "palisade_clients"]
    users = Tls(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"), "required")
    for tls, names in ((Tls(), own), (users, given_)):
        context = chain(bootstrap(settings(tls=tls)))["transport_socket"]["typed_config"]
        common = context["common_tls_context"]
        (certificate,) = common["tls_certificate_sds_secret_configs"]
        assert [certificate["name"], common["validation_context_sds_secret_config"]["name"]] == names
        assert context["require_client_certificate"] == (tls.client_certificate == "required")
        assert context["disable_stateless_session_resumption"] is True
        assert context["disable_stateful_session_resumption"] is True
        assert common["tls_params"]["tls_minimum_protocol_version"] == "TLSv1_2"
    context = chain(bootstrap(settings(tls=Tls(client_certificate="none"))))["transport_socket"][
        "typed_config"
    ]
    assert "validation_context_sds_secret_config" not in context["common_tls_context"]


def test_users_files_are_named_and_not_held() -> None:
    files = tls_secrets(settings(tls=Tls(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"))))
    assert set(files) == {"palisade_tls.json", "palisade_clients.json"}
    (certificate,) = files["palisade_tls.json"]["resources"]
    assert certificate["tls_certificate"]["private_key"] == {"filename": "/k.pem"}
    for content in files.values():
        (resource,) = content["resources"]
        json_format.ParseDict({k: v for k, v in resource.items() if k != "@type"}, secret_pb2.Secret())


def test_hosts_are_resolved_and_addresses_are_not() -> None:
    named = bootstrap(settings(engine=Address("engine", 18000)))["static_resources"]["clusters"]
    assert [cluster["type"] for cluster in named] == ["STRICT_DNS", "STRICT_DNS", "STATIC", "STATIC"]


def test_both_ways_to_the_engine_show_the_same_certificate_and_ask_for_another_service() -> None:
    engine, residual = bootstrap(settings())["static_resources"]["clusters"][:2]
    assert engine["load_assignment"]["endpoints"] == residual["load_assignment"]["endpoints"]
    ours, theirs = (each["transport_socket"]["typed_config"] for each in (engine, residual))
    assert ours.pop("sni") != theirs.pop("sni")
    assert ours == theirs


def test_a_name_cannot_be_listened_on() -> None:
    with pytest.raises(SettingsError, match="must be an IP address"):
        settings(listen=Address("localhost", 9081))


def test_it_is_json() -> None:
    assert json.loads(json.dumps(bootstrap(settings()))) == bootstrap(settings())


@pytest.mark.parametrize("tls", [None, Tls(), Tls(Path("/c.pem"), Path("/k.pem"))])
def test_only_where_a_user_names_authorities_connections_can_be_ended(tls: Tls | None) -> None:
    """What is not there cannot be set off by mistake."""
    assert "injected_resource" not in json.dumps(bootstrap(settings(tls=tls)))


@pytest.mark.parametrize("name", ["", "Hello", "a b", "-a", "a/b", "../x", "a" * 300])
def test_names_that_no_certificate_can_carry_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="lower-case"):
        settings(function=name)


@given(st.integers(1, 65535), st.sampled_from(["127.0.0.1", "::1", "fe80::1", "host.example", "localhost"]))
def test_an_address_reads_back_as_it_is_written(port: int, host: str) -> None:
    address = Address(host, port)
    assert Address.parse(str(address), what="it") == address


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_refused_with_its_purpose(text: str) -> None:
    refusal = ""
    try:
        address = Address.parse(text, what="the engine's address")
    except SettingsError as error:
        refusal = str(error)
    assert "the engine's address" in refusal or (1 <= address.port <= 65535 and address.host)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("8080", "HOST:PORT"),
        (":80", "HOST:PORT"),
        ("a:0", "between 1"),
        ("::1:80", "brackets"),
        ("a:70000", "65535"),
    ],
)
def test_a_wrong_address_says_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        Address.parse(text, what="the address")
