"""What reaches outside does so only where it is allowed to."""

from __future__ import annotations

import importlib.metadata
import json
import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from shared_helpers import serving

from palisade.rego.builtins import BUILTINS, Context, Network, http_client, opa
from palisade.rego.errors import BuiltinError
from palisade.testing.certificates import TestAuthority


class Handler(BaseHTTPRequestHandler):
    """Echoes a request as JSON; `/away` leads elsewhere, `/slow` answers nobody, `/yaml` speaks YAML."""

    count = 0

    def do_POST(self) -> None:
        type(self).count += 1
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://elsewhere.example/")
            self.end_headers()
            return
        if self.path == "/home":
            self.send_response(307)
            self.send_header("Location", "/echo")
            self.end_headers()
            return
        if self.path == "/slow":
            time.sleep(1)
            return  # whoever asked has given up: to answer fails, and is told in what another test captures
        text = "a: [1]" if self.path == "/yaml" else json.dumps(
            {"method": self.command, "body": body, "x": self.headers.get("x-test"), "count": type(self).count}
        )  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/yaml" if self.path == "/yaml" else "application/json")
        self.send_header("X-Many", "1")
        self.send_header("X-Many", "2")
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST  # noqa: N815  the name that http.server calls

    def log_message(self, *_: Any) -> None:
        """Keeps quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Handler) as address:
        yield f"http://{address}"


def _allowed() -> Context:
    return Context(0, network=Network(("127.0.0.1",)))


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        ((), "localhost", False),
        (("localhost",), "localhost", True),
        (("LOCALHOST",), "localhost", True),
        (("host",), "localhost", False),
        (("*.localhost",), "localhost", False),
    ],
)
def test_names_are_resolved_only_of_allowed_hosts(hosts: tuple[str, ...], host: str, allowed: bool) -> None:
    ctx = Context(0, network=Network(hosts))
    lookup = BUILTINS["net.lookup_ip_addr"].function
    if allowed:
        assert set(lookup(ctx, host)) & {"127.0.0.1", "::1"}
        return
    with pytest.raises(BuiltinError, match="unallowed host") as raised:
        lookup(ctx, host)
    assert raised.value.fatal, "a refusal must not pass for an undefined value"


def test_sends_a_request(call: Any, server: str) -> None:
    request = {"method": "post", "url": f"{server}/echo", "headers": {"X-Test": "t"}, "body": {"a": {1, 2}}}
    response = call("http.send", request, ctx=_allowed())
    assert (response["status_code"], response["status"]) == (200, "200 OK")
    assert response["body"]["method"] == "POST"
    assert (response["body"]["body"], response["body"]["x"]) == ('{"a":[1,2]}', "t")
    assert json.loads(response["raw_body"]) == response["body"]
    assert response["headers"]["x-many"] == ["1", "2"]


def test_the_same_request_is_sent_once(call: Any, server: str) -> None:
    ctx = _allowed()
    request = {"method": "get", "url": f"{server}/echo", "cache_ignored_headers": ["x-id"]}
    first = call("http.send", {**request, "headers": {"x-id": "1"}}, ctx=ctx)
    again = call("http.send", {**request, "headers": {"x-id": "2"}}, ctx=ctx)
    other = call("http.send", {**request, "headers": {"x-other": "2"}}, ctx=ctx)
    assert first == again
    assert other["body"]["count"] > first["body"]["count"]


def test_the_machines_authorities_are_read_once(
    call: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes twenty times as long as all else of a request. One with authorities of its own beside them
    has a context of its own: what it trusts must not be trusted by others."""
    contexts: list[ssl.SSLContext] = []
    create = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: contexts.append(create()) or contexts[-1])
    http_client._trusting_the_machines.cache_clear()
    own = TestAuthority().pem.decode()
    others = [{"tls_ca_cert": own, "tls_use_system_certs": True}, {"tls_insecure_skip_verify": True}]
    for tls in ({}, {}, *others, {}):
        call("http.send", {"method": "get", "url": f"{server}/echo"} | tls, ctx=_allowed())
    assert len(contexts) == 3
    shared, more, unverified = contexts
    assert len(more.get_ca_certs()) == len(shared.get_ca_certs()) + 1
    assert (shared.verify_mode, unverified.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)


def test_decodes_by_type_or_by_force(call: Any, server: str) -> None:
    request = {"method": "get", "url": f"{server}/yaml"}
    assert call("http.send", request, ctx=_allowed())["body"] == {"a": [1]}
    assert call("http.send", {**request, "force_json_decode": True}, ctx=_allowed())["body"] is None


def test_refused_hosts_end_the_evaluation(server: str) -> None:
    send = BUILTINS["http.send"].function
    for request in (
        {"method": "get", "url": "http://169.254.169.254/", "raise_error": False},
        {"method": "get", "url": f"{server}/away", "enable_redirect": True, "raise_error": False},
        {"method": "get", "url": "http://127.0.0.1@evil.example/"},
    ):
        with pytest.raises(BuiltinError, match="unallowed host") as raised:
            send(_allowed(), request)
        assert raised.value.fatal


def test_redirects_are_followed_when_asked(call: Any, server: str) -> None:
    request = {"method": "post", "url": f"{server}/home", "raw_body": "kept"}
    assert call("http.send", request, ctx=_allowed())["status_code"] == 307
    followed = call("http.send", {**request, "enable_redirect": True}, ctx=_allowed())
    assert (followed["status_code"], followed["body"]["body"]) == (200, "kept")


def test_failures_are_errors_or_values(call: Any, fails: Any) -> None:
    request = {"method": "get", "url": "http://127.0.0.1:1/", "max_retry_attempts": 1}
    assert fails("http.send", request, ctx=_allowed()).startswith("eval_builtin_error: Get")
    response = call("http.send", {**request, "raise_error": False}, ctx=_allowed())
    assert response["status_code"] == 0
    assert response["error"]["code"] == "eval_http_send_network_error"


def test_timeouts(fails: Any, server: str) -> None:
    request = {"method": "get", "url": f"{server}/slow", "timeout": "50ms"}
    assert "request timed out" in fails("http.send", request, ctx=_allowed())
    ctx = Context(0, network=Network(("127.0.0.1",)), deadline=time.monotonic() + 0.05)
    assert fails("http.send", {**request, "timeout": "5s"}, ctx=ctx).startswith("eval_cancel_error")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"method": "get"}, 'operand 1 missing required request parameters(s): {"url"}'),
        (
            {"method": "get", "url": "http://x", "colour": 1},
            'operand 1 invalid request parameters(s): {"colour"}',
        ),
        ({"method": "get", "url": "http://[::1"}, "invalid URL"),
        ({"method": "get", "url": "ftp://127.0.0.1/"}, "unsupported protocol"),
        ({"method": 1, "url": "http://127.0.0.1"}, '"method" must be a string'),
        ({"method": "get", "url": "http://127.0.0.1", "headers": []}, "invalid type for headers key"),
        (
            {"method": "get", "url": "http://127.0.0.1", "headers": {"a": 1}},
            "invalid type for headers value 1",
        ),
        (
            {"method": "get", "url": "http://127.0.0.1", "timeout": []},
            "'timeout' must be one of {string, number}",
        ),
        ({"method": "get", "url": "http://127.0.0.1", "tls_ca_cert": "x"}, "could not append certificates"),
    ],
)
def test_requests_are_checked(fails: Any, request_: dict[str, Any], message: str) -> None:
    assert message in fails("http.send", request_, ctx=_allowed())


def test_runtime_shows_what_it_was_given(call: Any) -> None:
    ctx = Context(0, env={"A": "1"}, config={"labels": {"id": "x"}})
    assert (
        call("opa.runtime", ctx=ctx).items() >= {"env": {"A": "1"}, "config": {"labels": {"id": "x"}}}.items()
    )
    assert call("opa.runtime")["env"] == {}


def test_the_version_is_looked_up_once(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set that is compiled for a sidecar asks for `opa.runtime`, and Python reads a file for it."""
    release = call("opa.runtime")["version"]
    monkeypatch.setattr(opa, "version", None)
    assert call("opa.runtime")["version"] == release == importlib.metadata.version("palisade")
