"""The ext_authz service over real gRPC: every failure is a denial, and each is recorded."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from shared_helpers import Lines

from palisade.decide.backends.interface import BackendError
from palisade.decide.log import DecisionLog
from palisade.decide.peer import function_of
from palisade.decide.question import Evaluation
from palisade.decide.service import Authorization, Evaluator
from palisade.pki import Authority, IdentitySource, channel_credentials, server_credentials
from palisade.rego.errors import EvalError, Location
from palisade.rego.values import UNDEFINED


def request(path: str = "/", function: str = "hello") -> CheckRequest:
    check = CheckRequest()
    check.attributes.request.http.path = path
    check.attributes.request.http.method = "GET"
    if function:
        check.attributes.context_extensions["palisade.function"] = function
    return check


def ask(
    evaluator: Evaluator, *requests: CheckRequest, budget: float = 1.0
) -> tuple[list[CheckResponse], list[Any]]:
    """The answers to the requests, all asked at once, and the events."""
    sink = Lines()

    async def main() -> list[CheckResponse]:
        async with DecisionLog(sink) as decisions:
            server = grpc.aio.server()
            Authorization(evaluator, decisions, budget=budget).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = AuthorizationStub(channel)
                answers = await asyncio.gather(*(stub.Check(each, timeout=30) for each in requests))
            await server.stop(None)
        return list(answers)

    return asyncio.run(main()), sink.entries


def fails(error: Exception) -> Evaluator:
    def evaluate(function: str, document: Any) -> Evaluation:
        raise error

    return evaluate


def test_the_function_and_the_input_reach_the_evaluator() -> None:
    asked = []

    def evaluate(function: str, document: Any) -> Evaluation:
        asked.append((function, document["parsed_path"]))
        return Evaluation(True, path="palisade/identity/allow", rule="a.rego:1", revision="r1")

    (answer,), (event,) = ask(evaluate, request("/a/b"))
    assert answer.status.code == 0
    assert asked == [("hello", ["a", "b"])]
    assert answer.dynamic_metadata["palisade"]["decision_id"] == event["decision_id"]
    assert event["result"] is True
    assert event["metrics"]["timer_server_handler_ns"] >= event["metrics"]["timer_rego_query_eval_ns"] > 0


@pytest.mark.parametrize(
    ("evaluator", "code", "message"),
    [
        (lambda *_: Evaluation(UNDEFINED), "undefined_decision", "undefined"),
        (lambda *_: Evaluation("yes"), "invalid_decision", "a string"),
        (
            fails(EvalError("eval_conflict_error", "two outputs", Location("a.rego", 3, 1))),
            "eval_conflict_error",
            "two outputs",
        ),
        (fails(RecursionError("s3cr3t")), "eval_internal_error", "RecursionError"),
        (fails(KeyError("s3cr3t")), "eval_internal_error", "KeyError"),
    ],
)
def test_a_failed_evaluation_is_a_recorded_denial(evaluator: Evaluator, code: str, message: str) -> None:
    (answer,), (event,) = ask(evaluator, request())
    assert (answer.status.code, answer.denied_response.status.code) == (7, 403)
    assert event["error"]["code"] == code
    assert message in event["error"]["message"]
    assert "s3cr3t" not in json.dumps(event)
    assert event["palisade"]["allowed"] is False


def test_a_backend_that_gives_no_decision_names_the_status_of_the_denial() -> None:
    (answer,), (event,) = ask(fails(BackendError("backend_unavailable", "it is down", 503)), request())
    assert (answer.status.code, answer.denied_response.status.code) == (7, 503)
    assert event["error"] == {"code": "backend_unavailable", "message": "it is down"}


def test_a_request_that_no_input_can_be_made_of_is_denied() -> None:
    (answer,), (event,) = ask(lambda *_: Evaluation(True), request("/%zz"))
    assert answer.status.code == 7
    assert event["error"] == {"code": "invalid_request", "message": "the path has a % that starts no escape"}


def test_what_is_known_of_a_request_without_an_input_is_logged_and_masked() -> None:
    """Who looks for an attack that was refused looks for its path and where it came from."""
    check = request("/%zz?access_token=s3cr3t")
    http = check.attributes.request.http
    http.method, http.host = "POST", "hello.example"
    http.body = "s3cr3t"
    for name, value in (("authorization", "Bearer s3cr3t"), ("user-agent", "curl"), ("x-request-id", "r-1")):
        http.headers[name] = value
    check.attributes.source.address.socket_address.address = "192.0.2.1"
    check.attributes.source.address.socket_address.port_value = 5
    _, (event,) = ask(lambda *_: Evaluation(True), check)
    assert event["error"]["code"] == "invalid_request"
    shown = event["input"]["attributes"]["request"]["http"]
    assert (shown["method"], shown["host"]) == ("POST", "hello.example")
    assert shown["path"].startswith("/%zz?access_token=")
    assert shown["headers"] == {"user-agent": "curl", "x-request-id": "r-1"}
    assert event["input"]["function"] == event["palisade"]["function"] == "hello"
    assert (event["requested_by"], event["palisade"]["request_id"]) == ("192.0.2.1:5", "r-1")
    assert "s3cr3t" not in json.dumps(event)


def test_an_evaluation_that_waits_holds_up_no_other_and_ends_with_the_budget() -> None:
    order: list[str] = []
    now = asyncio.Event()

    async def wait(path: str) -> Evaluation:
        await (asyncio.sleep(30) if path == "/forever" else now.wait())
        order.append(path)
        return Evaluation(True)

    def evaluate(function: str, document: Any) -> Any:
        path = document["attributes"]["request"]["http"]["path"]
        if path == "/now":
            order.append(path)
            now.set()
            return Evaluation(True)
        return wait(path)

    answers, events = ask(evaluate, request("/later"), request("/forever"), request("/now"), budget=0.6)
    assert order == ["/now", "/later"]
    assert [answer.status.code for answer in answers] == [0, 7, 0]
    assert [event["error"]["code"] for event in events if "error" in event] == ["eval_cancel_error"]


def test_an_answer_that_comes_too_late_is_not_recorded_as_what_happened() -> None:
    """The sidecar denied meanwhile: its access log tells that, and the engine must not tell otherwise."""

    def slow(function: str, document: Any) -> Evaluation:
        time.sleep(0.3)
        return Evaluation(True)

    sink = Lines()

    async def main() -> None:
        async with DecisionLog(sink) as decisions:
            server = grpc.aio.server()
            Authorization(slow, decisions).add_to(server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
                    await AuthorizationStub(channel).Check(request(), timeout=0.1)
            await server.stop(None)

    asyncio.run(main())
    assert sink.entries == []


@pytest.mark.parametrize(
    ("identity", "claimed", "allowed"),
    [("hello", "", True), ("hello", "hello", True), ("hello", "orders", False), (None, "hello", False)],
)
def test_a_certificate_decides_who_asks(
    tmp_path: Path, identity: str | None, claimed: str, allowed: bool
) -> None:
    authority = Authority.open(tmp_path)
    asked: list[str] = []

    def evaluate(function: str, document: Any) -> Evaluation:
        asked.append(function)
        return Evaluation(True)

    async def main() -> CheckResponse:
        async with DecisionLog(Lines()) as decisions:
            server = grpc.aio.server()
            Authorization(evaluate, decisions).add_to(server)
            source = IdentitySource(lambda: authority.issue_engine(dns_names=["engine.palisade.local"]))
            port = server.add_secure_port("127.0.0.1:0", server_credentials(source))
            await server.start()
            client = authority.issue_function(identity) if identity else authority.issue_engine()
            async with grpc.aio.secure_channel(
                f"127.0.0.1:{port}",
                channel_credentials(client),
                options=[("grpc.ssl_target_name_override", "engine.palisade.local")],
            ) as channel:
                answer = await AuthorizationStub(channel).Check(request(function=claimed), timeout=30)
            await server.stop(None)
            return answer

    assert (asyncio.run(main()).status.code == 0) is allowed
    assert asked == (["hello"] if allowed else [])


def test_a_peer_is_known_by_its_spiffe_id_alone() -> None:
    name = "x509_subject_alternative_name"
    assert function_of({}) is None
    assert function_of({name: [b"hello", b"spiffe://palisade.local/engine"]}) == ""
    assert function_of({name: [b"a", b"spiffe://palisade.local/function/hello"]}) == "hello"
    assert function_of({name: [b"spiffe://evil.example/function/hello"]}) == ""
