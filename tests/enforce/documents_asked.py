"""JSON in requests, wherever a policy may take it from."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from lowered import subject_of

from palisade import rego
from palisade.testing.equivalence import Bed, Issuers, Request, Subject, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

HEAD = "package p\nimport input.attributes.request.http\n"
BEARER = "authorization"


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def url(text: str | bytes) -> str:
    content = text if isinstance(text, bytes) else raw(text)
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def in_header(name: str, value: str) -> Request:
    return Request("GET", "/", ((name, value), ("x-a", "x")))


def in_body(text: str, kind: str = "application/json") -> Request:
    headers = (("content-type", kind),) if kind else ()
    return Request("POST", "/", (*headers, ("x-a", "x")), None, text)


def token_of(claims: str, header: str = '{"alg":"none"}') -> Request:
    return in_header(BEARER, f"Bearer {url(header)}.{url(claims)}.c2ln")


Way = tuple[str, Callable[[str], Request | None]]


def _plain(text: str) -> Request | None:
    """JSON in a header, where one can hold it."""
    return in_header("x-json", text) if text.isprintable() and text.isascii() else None


def _in_query(claims: str) -> Request:
    token = token_of(claims).headers[0][1].removeprefix("Bearer ")
    return Request("GET", f"/?page=%31&token={token}&token=x", (("x-a", "x"),))


def _in_cookie(claims: str) -> Request:
    token = token_of(claims).headers[0][1].removeprefix("Bearer ")
    return Request("GET", "/", (("cookie", f"a=b=1; said={token}; theme=d"), ("x-a", "x")))


WAYS: dict[str, Way] = {
    "body": ("json.unmarshal(http.body)", in_body),
    "untyped body": ("json.unmarshal(http.body)", lambda text: in_body(text, "")),
    "header": ('json.unmarshal(http.headers["x-json"])', _plain),
    "base64": (
        'json.unmarshal(base64.decode(http.headers["x-json"]))',
        lambda text: in_header("x-json", base64.b64encode(raw(text)).decode()),
    ),
    "base64url": (
        'json.unmarshal(base64url.decode(http.headers["x-json"]))',
        lambda text: in_header("x-json", url(text)),
    ),
    "second part": (
        'json.unmarshal(base64.decode(split(http.headers["x-json"], ".")[1]))',
        lambda text: in_header("x-json", f"e30.{base64.b64encode(raw(text)).decode()}"),
    ),
    "first part": (
        'json.unmarshal(base64url.decode(split(http.headers["x-json"], ".")[0]))',
        lambda text: in_header("x-json", f"{url(text)}.e30"),
    ),
    "claims by hand": (
        'json.unmarshal(base64url.decode(split(substring(http.headers.authorization, 7, -1), ".")[1]))',
        token_of,
    ),
    "token": ('io.jwt.decode(split(http.headers.authorization, " ")[1])[1]', token_of),
    "token in a parameter": ("io.jwt.decode(input.parsed_query.token[0])[1]", _in_query),
    "token in a cookie": (
        'io.jwt.decode(split(split(http.headers.cookie, "said=")[1], ";")[0])[1]',
        _in_cookie,
    ),
}
"""How a policy takes a document out of a request, and how a client puts it in."""


def judge(bed: Bed, issuers: Issuers, rules: str, asked: Sequence[Request], tally: Tally) -> Subject:
    """Raises AssertionError with the first request that is decided otherwise than the policy says."""
    subject = subject_of(rego.compile({"p.rego": HEAD + rules}), (), issuers)
    bed.load(subject)
    for difference in compare(bed, subject, asked, tally):
        raise AssertionError("\n".join((summary(difference), rules, *lines(difference))))
    return subject
