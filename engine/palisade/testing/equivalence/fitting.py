"""What is wanted of parts of a request, put into a request."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from palisade.enforce.envoy.bodies.documents import FIRST, SECOND
from palisade.enforce.envoy.values.entries import mark_of
from palisade.enforce.envoy.values.walks import METADATA
from palisade.policy.providers import Header, Query, TokenSource
from palisade.rego.text import dumps
from palisade.rego.values import to_json
from palisade.testing.equivalence.aim import ABSENT
from palisade.testing.equivalence.callers import PLACES, named
from palisade.testing.equivalence.requests import Request, Token
from palisade.testing.equivalence.shape import put
from palisade.testing.equivalence.subject import Recipient
from palisade.testing.equivalence.tokens import EXPIRES, Signer
from palisade.testing.equivalence.walks import OWN_CLAIMS, WRITTEN, Place

FORM = "application/x-www-form-urlencoded"
ADDRESS = ("attributes", "source", "address", "socketAddress", "address")


def fit(request: Request, parts: Mapping[Place, Any], subject: Recipient) -> Request:
    """The request with what is wanted of it put in."""
    claims: list[tuple[Place, Any]] = []
    own: list[tuple[Place, Any]] = []
    body: list[tuple[Place, Any]] = []
    written: dict[tuple[str, str, str], list[tuple[Place, Any]]] = {}
    segments: dict[int, str] = {}
    query: list[tuple[str, str]] = []
    # What is wanted of a whole, as so many members, before what is wanted of one of them.
    for place, value in sorted(parts.items(), key=lambda each: len(each[0])):
        match place:
            case ("identity", "claims", *steps) if steps:
                claims.append((tuple(steps), value))
            case (_, _, _, _, str(provider), *steps) if place[: len(METADATA)] == METADATA:
                if provider in subject.issuers and (steps or value is not ABSENT):
                    signed = replace(request.token or Token(provider), provider=provider)
                    request = replace(request, token=signed)
                if steps:
                    claims.append((tuple(steps), value))
            case (str(name), *steps) if name == OWN_CLAIMS and steps:
                own.append((tuple(steps), value))
            case (str(name), str(header), str(prefix), str(coding), *steps) if name == WRITTEN:
                written.setdefault((header, prefix, coding), []).append((tuple(steps), value))
            case ("parsed_body", *steps):
                body.append((tuple(steps), value))
            case ("parsed_path",) if isinstance(value, list):
                segments.update({at: str(each) for at, each in enumerate(value)})
            case ("parsed_path", int(at), *_) if 0 <= at < 20:
                segments[at] = str(value)
            case ("parsed_path", ("*", _), *_):
                segments[len(segments)] = str(value)
            case ("parsed_query", str(name), *_) if value is not ABSENT:
                query.append((name, str(value[0] if isinstance(value, list) and value else value)))
            case ("attributes", "request", "http", *steps):
                request = _with_http(request, steps, value)
            case ("identity", "provider") if isinstance(value, str) and value in subject.issuers:
                request = replace(request, token=Token(value, request.token.claims if request.token else {}))
            case ("identity",) | ("identity", "claims"):
                found = request.token or Token(min(subject.issuers)) if subject.issuers else None
                request = replace(request, token=None if value is ABSENT else found)
            case _ if (
                place in PLACES and subject.sees_callers and (value is ABSENT or isinstance(value, str))
            ):
                request = replace(request, caller=None if value is ABSENT else named(value))
            case _ if place == ADDRESS and isinstance(value, str) and is_address(value) and is_sender(value):
                request = replace(request, source=value)
    if segments:
        path = "/".join(quote(segments.get(at, "x"), safe="") for at in range(max(segments) + 1))
        request = replace(request, target=f"/{path}")
    if query:
        pairs = "&".join(f"{name}={text}" for name, text in query)
        request = replace(request, target=f"{request.target.partition('?')[0]}?{pairs}")
    signers: Mapping[str, Signer] = subject.signers or subject.issuers
    if own and signers:
        token = request.token
        if token is None or token.provider not in signers:
            token = Token(min(signers))
        made = put({**token.claims, "exp": EXPIRES, "nbf": 1}, own)
        # What the policy asks of the header is asked of the token in it.
        request = _without(request, signers[token.provider].provider.tokens)
        token = Token(token.provider, made if isinstance(made, dict) else {})
        request = replace(request, token=token)
    if claims and subject.issuers:
        token = request.token or Token(sorted(subject.issuers)[0])
        if token.provider in subject.issuers:
            made = put(token.claims, claims)
            request = replace(request, token=Token(token.provider, made if isinstance(made, dict) else {}))
    for (header, prefix, coding), values in written.items():
        kept = tuple(each for each in request.headers if each[0].lower() != header)
        request = replace(request, headers=(*kept, (header, as_header(put({}, values), prefix, coding))))
    if body:
        request = _with_body(request, put({}, body))
    return request


def _without(request: Request, places: Iterable[TokenSource]) -> Request:
    """The request with nothing where the token is to stand."""
    for place in places:
        if isinstance(place, Query):
            path, mark, query = request.target.partition("?")
            kept = [each for each in query.split("&") if each.partition("=")[0] != place.name]
            request = replace(request, target=f"{path}{mark}{'&'.join(kept)}")
        else:
            header = place.name if isinstance(place, Header) else "cookie"
            others = tuple(each for each in request.headers if each[0].lower() != header)
            request = replace(request, headers=others)
    return request


def _with_body(request: Request, document: Any) -> Request:
    """A form where the request says so and it can be one, otherwise JSON."""
    said = [value for name, value in request.headers if name.lower() == "content-type"]
    if FORM in said and isinstance(document, dict) and all(map(_is_texts, document.values())):
        # Escaped throughout: who does not decode reads another.
        pairs = (
            f"{quote(name)}={''.join(f'%{byte:02x}' for byte in each.encode())}"
            for name, texts in document.items()
            for each in texts
        )
        return replace(request, body="&".join(pairs))
    headers = [each for each in request.headers if each[0].lower() != "content-type"]
    return replace(request, body=dumps(document), headers=(*headers, ("content-type", "application/json")))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def as_header(document: Any, prefix: str, coding: str) -> str:
    """A document as a header holds it, in the coding of `documents.Document`."""
    text = dumps(document)
    if coding.startswith(FIRST):
        return f"{prefix}{as_header(document, '', coding.removeprefix(FIRST))}.e30"
    if coding.startswith(SECOND):
        return f"{prefix}e30.{as_header(document, '', coding.removeprefix(SECOND))}.e30"
    if coding.startswith("pairs"):
        entries = document.items() if isinstance(document, dict) else ()
        return mark_of(coding).join(f"{name}={value}" for name, value in entries)
    if coding == "base64url":
        text = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    elif coding == "base64":
        text = base64.b64encode(text.encode()).decode()
    return prefix + text


def _with_http(request: Request, steps: Sequence[Any], value: Any) -> Request:
    match steps:
        case ["method"] if isinstance(value, str):
            return replace(request, method=value)
        case ["path"] if isinstance(value, str):
            return replace(request, target=value)
        case ["host"] if isinstance(value, str):
            others = tuple(each for each in request.headers if each[0].lower() != "host")
            return replace(request, headers=(("host", value), *others))
        case ["headers", str(name), *_] if not name.startswith(":"):
            others = tuple(each for each in request.headers if each[0].lower() != name.lower())
            added = () if value is ABSENT else ((name, str(to_json(value))),)
            return replace(request, headers=(*others, *added))
        case ["protocol"] if isinstance(value, str):
            return replace(request, http2=value == "HTTP/2")
        case ["body"] if isinstance(value, str):
            return replace(request, body=value)
    return request


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_sender(text: str) -> bool:
    """Whether a connection can come from the address: the PROXY protocol takes no others."""
    found = ipaddress.ip_address(text)
    return not (found.is_multicast or text == "255.255.255.255")
