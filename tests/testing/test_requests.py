"""Requests as bytes and as lines for a shell: what is printed is what was sent."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from palisade.testing.equivalence import Request
from palisade.testing.equivalence.callers import Caller
from palisade.testing.equivalence.requests import beyond_curl, curl, encoded, quoted


class _Recorder(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str, list[tuple[str, str]], bytes]]

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            self.seen.append((self.command, self.path, self.headers.items(), body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
        return False

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    seen: list[Any] = []
    handler = type("Handler", (_Recorder,), {"seen": seen})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"127.0.0.1:{running.server_port}", seen
        running.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/a/../b//c%2fd?x=1&x=[2]{3}"),
        Request("POST", "/", (("x-user", "a b"), ("x-user", "")), body="it's {}"),
        Request("HEAD", "/x"),
        Request("PURGE", "*", (("host", "other.example"),)),
    ],
    ids=("path", "headers", "head", "asterisk"),
)
def test_the_curl_line_sends_the_request(server: tuple[str, list[Any]], request_: Request) -> None:
    host, seen = server
    subprocess.run(
        ["sh", "-c", curl(request_, host)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ((method, target, headers, body),) = seen
    assert (method, target, body.decode()) == (request_.method, request_.target, request_.body)
    sent = [(name.lower(), value) for name, value in headers]
    assert [each for each in sent if each[0] in ("x-user", "host")] == [
        *([] if any(name == "host" for name, _ in request_.headers) else [("host", host)]),
        *request_.headers,
    ]


def test_over_http2_the_line_names_the_host_and_tells_what_curl_cannot_send() -> None:
    named = Request(headers=((":authority", "a.test"), ("x-a", "1")), http2=True)
    assert curl(named) == (
        "curl -i --path-as-is --http2-prior-knowledge -H 'host: a.test' -H 'x-a: 1' http://localhost:9080/"
    )
    assert beyond_curl(named) == []
    twice = Request(
        headers=((":authority", "a.test"), ("host", "b.test"), ("cookie", "a=1"), ("cookie", "b=2")),
        http2=True,
        trailers=(("x-last", "1"),),
    )
    assert beyond_curl(twice) == [
        "with a field host: b.test beside :authority",
        "with the cookies in fields of their own",
        "with the trailer x-last: 1",
    ]
    assert "b.test" not in curl(twice)


def test_by_tls_the_line_shows_the_certificate() -> None:
    asked = Request("GET", "/a", caller=Caller(("spiffe://a/b",)))
    line = "curl -i --path-as-is --insecure --http1.1 --cert caller.pem --key caller-key.pem https://h:1/a"
    assert curl(asked, "h:1", tls=True) == line
    assert (
        curl(Request(http2=True), "h:1", tls=True) == "curl -i --path-as-is --insecure --http2 https://h:1/"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bytes_that_a_terminal_would_not_show_survive_the_shell() -> None:
    text = "it's\\n \udcff\n\tü"
    out = subprocess.run(["bash", "-c", f"printf %s {quoted(text)}"], check=True, capture_output=True).stdout
    assert out == text.encode("utf-8", "surrogateescape")


def test_bytes_that_are_no_text_are_sent_as_they_are() -> None:
    raw = encoded(Request("GET", "/ü", (("x-odd", "a\udcff"),)))
    assert b"GET /\xc3\xbc HTTP/1.1\r\n" in raw
    assert b"x-odd: a\xff\r\n" in raw
