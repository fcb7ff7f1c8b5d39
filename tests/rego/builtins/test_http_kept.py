"""An answer of `http.send` outlives its query where the request says so, and no longer than OPA keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from shared_helpers import serving

from palisade.rego.builtins import BUILTINS, Context, Network
from palisade.rego.builtins.http_kept import Answer, Kept
from palisade.rego.errors import BuiltinError

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


class Handler(BaseHTTPRequestHandler):
    """Answers with the number of the request, and with what its query says: a status, and headers."""

    numbers = count(1)

    def do_GET(self) -> None:
        told = dict(parse_qsl(urlsplit(self.path).query))
        etag = told.get("etag")
        status = int(told.pop("status", "200"))
        if etag and self.headers.get("if-none-match") == etag:
            status = 304
        body = str(next(self.numbers)).encode()
        self.send_response_only(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("date", formatdate(NOW / SECOND, usegmt=True))
        self.send_header("content-length", "0" if status == 304 else str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keeps quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Handler) as address:
        yield f"http://{address}"


@pytest.fixture
def ask(server: str, request: pytest.FixtureRequest) -> Any:
    """`ask(query, seconds, **parameters)`: the number of the request that is answered, so many seconds
    later. Each test asks for a path of its own."""

    def run(
        query: str, seconds: float = 0, hosts: tuple[str, ...] = ("127.0.0.1",), **parameters: Any
    ) -> int:
        ctx = Context(NOW + int(seconds * SECOND), network=Network(hosts))
        asked = {"method": "GET", "url": f"{server}/{request.node.nodeid}?{query}", **parameters}
        answer = BUILTINS["http.send"].function(ctx, asked)
        return int(answer["raw_body"])

    return run


def forced(seconds: int) -> dict[str, Any]:
    return {"force_cache": True, "force_cache_duration_seconds": seconds}


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({"cache": True}, "cache-control=max-age%3D60"),
        ({"cache": True}, "cache-control=public, max-age%3D60"),
        ({"cache": True}, f"expires={formatdate(NOW / SECOND + 60, usegmt=True)}"),
        (forced(60), ""),
        (forced(60), "cache-control=no-store"),
        (forced(60), "cache-control=max-age%3D1"),
        ({**forced(60), "cache": True}, "cache-control=max-age%3D1"),
        ({**forced(0), "cache": True}, "cache-control=max-age%3D60"),
        ({**forced(60), "caching_mode": "deserialized"}, ""),
        (forced(60), "status=404"),
    ],
)
def test_it_serves_to_its_end(ask: Any, parameters: dict[str, Any], headers: str) -> None:
    first = ask(headers, **parameters)
    assert ask(headers, 59, **parameters) == first
    assert ask(headers, 61, **parameters) != first


@pytest.mark.parametrize(
    ("parameters", "headers"),
    [
        ({}, "cache-control=max-age%3D60"),
        ({"cache": True}, ""),
        ({"cache": True}, "cache-control=no-store, max-age%3D60"),
        ({"cache": True}, "cache-control=max-age%3Dsoon"),
        ({"cache": True}, "expires=0"),
        ({"cache": True}, "cache-control=max-age%3D60&status=500"),
        (forced(60), "status=500"),
        ({**forced(60), "caching_mode": "elsewhere"}, ""),
    ],
)
def test_it_is_not_kept(ask: Any, parameters: dict[str, Any], headers: str) -> None:
    assert ask(headers, **parameters) != ask(headers, 1, **parameters)


def test_another_question_has_another_answer(ask: Any) -> None:
    first = ask("", **forced(60))
    assert ask("", headers={"authorization": "Bearer another"}, **forced(60)) != first
    assert ask("", **forced(59)) != first
    assert ask("", **forced(60)) == first


def test_who_may_not_reach_the_host_is_not_answered_from_memory(ask: Any) -> None:
    ask("", **forced(60))
    with pytest.raises(BuiltinError, match="unallowed host"):
        ask("", hosts=("other.example",), **forced(60))


def test_an_old_answer_that_has_not_changed_serves_again(ask: Any) -> None:
    query = 'etag="a"&cache-control=max-age%3D60'
    first = ask(query, cache=True)
    # The server's clock stands still, so that each life that is counted from it has ended.
    assert ask(query, 61, cache=True) == first
    assert ask(query, 62, **forced(60)) != first, "which asks for another life"
    query = 'etag="b"'
    first = ask(query, **forced(60))
    assert ask(query, 61, **forced(60)) == first
    assert ask(query, 120, **forced(60)) == first


def test_an_old_answer_that_has_changed_is_replaced(ask: Any) -> None:
    query = "last-modified=Tue, 14 Nov 2023 22:13:20 GMT"
    first = ask(query, **forced(60))
    second = ask(query, 61, **forced(60))
    assert second != first
    assert ask(query, 62, **forced(60)) == second


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"force_cache": True}, "'force_cache_duration_seconds' parameter is missing"),
        (forced("60"), 'invalid value "60" for field force_cache_duration_seconds'),  # type: ignore[arg-type]
        (forced(1 << 31), "for field force_cache_duration_seconds"),
        ({"cache": "yes"}, 'invalid value for "cache" field'),
    ],
)
def test_a_wrong_parameter_is_an_error(ask: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BuiltinError) as raised:
        ask("", **parameters)
    assert message in raised.value.message


def test_no_more_is_kept_than_there_is_room_for() -> None:
    kept = Kept(most=100)
    for key in "abc":
        kept.put(key, Answer(200, "OK", (), b"x" * 40), 1)
        assert kept.get("a") is not None, "which was used last"
    assert kept.get("b") is None
    assert kept.get("c") is not None
    kept.put("a", Answer(200, "OK", (), b"x" * 101), 1)
    assert kept.get("a") is None, "an old answer in place of a new one"
    kept.put("d", Answer(200, "OK", (), b"x" * 60), 1)
    assert kept.get("c") is not None, "what was dropped takes no room"
