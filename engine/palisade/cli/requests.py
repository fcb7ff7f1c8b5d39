"""Requests as people write them for `palisade explain`: `GET http://orders/7`, or an input as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf import json_format

from palisade.cli.exit_codes import CommandError
from palisade.decide.input import JWT_METADATA, InputError, to_input
from palisade.policy import data as documents
from palisade.policy.providers import Header, Provider
from palisade.policy.source import read_text
from palisade.rego.errors import Diagnostic
from palisade.rego.values import Value

_REQUEST_LINE = re.compile(r"([A-Z]+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as a policy sees it, and what should be said beside the answer."""

    function: str
    document: Value
    notes: tuple[str, ...] = ()


def read(
    request: str,
    *,
    function: str,
    headers: Sequence[str],
    claims: Sequence[str],
    provider: str,
    body: str,
    providers: Iterable[Provider],
) -> Asked:
    """The request that a line such as `GET /orders/7` and options spell, or a file holds.

    Raises CommandError.
    """
    line = _REQUEST_LINE.fullmatch(request.strip())
    if line is None:
        return _from_file(request, function)
    method, url = line.groups()
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {":method": method, ":path": path, **dict(map(_header, headers))}
    host = given.get("host") or parts.netloc or function
    given[":authority"] = host
    notes: list[str] = []
    verified = _claims(claims, provider, tuple(providers), given, notes)
    http = {
        "method": method,
        "path": path,
        "host": host,
        "scheme": parts.scheme or "http",
        "protocol": "HTTP/1.1",
        "headers": given,
        "body": body,
    }
    attributes: dict[str, Any] = {"request": {"http": http}}
    if verified:
        attributes["metadata_context"] = {"filter_metadata": {JWT_METADATA: verified}}
    message = json_format.ParseDict({"attributes": attributes}, CheckRequest())
    try:
        return Asked(function, to_input(message, function), tuple(notes))
    except InputError as error:
        raise CommandError(f"the request is refused before a policy sees it: {error}") from None


def _from_file(name: str, function: str) -> Asked:
    text = sys.stdin.read() if name == "-" else read_text(Path(name), name)
    document: Any = text if isinstance(text, Diagnostic) else documents.read("request.json", text)
    if isinstance(document, Diagnostic):
        hint = 'write a request such as "GET /orders/7", or name a JSON file that holds an input'
        raise CommandError(f"{name}: {document.message}", hint=hint)
    if isinstance(document, dict) and isinstance(document.get("input"), dict):
        document = document["input"]  # an entry of the decision log
    if not isinstance(document, dict):
        raise CommandError(f"{name}: an input is a JSON object")
    named = document.get("function")
    return Asked(named if isinstance(named, str) else function, {"function": function, **document})


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandError(f"--header: '{text}' is no header", hint="write it as 'name: value'")
    return name.strip().lower(), value.strip()


def _claims(
    claims: Sequence[str],
    provider: str,
    providers: tuple[Provider, ...],
    headers: Mapping[str, str],
    notes: list[str],
) -> dict[str, dict[str, Any]]:
    """Claims by provider: those given, or those of a token in the headers, taken without verifying it."""
    if claims:
        name = provider or (providers[0].name if providers else "given")
        return {name: dict(map(_claim, claims))}
    for each in providers:
        for source in each.tokens:
            value = headers.get(source.name, "") if isinstance(source, Header) else ""
            if not isinstance(source, Header) or not value.startswith(source.prefix) or not value:
                continue
            try:
                found = jwt.decode(value[len(source.prefix) :], options={"verify_signature": False})
            except jwt.PyJWTError as error:
                notes.append(f"the token is no JSON Web Token, so it counts as none: {error}")
                return {}
            if found.get("iss") == each.issuer:
                notes.append("the token is taken for valid: explain verifies neither signature nor times")
                return {each.name: found}
            notes.append(f"the token's issuer {found.get('iss')!r} is not that of provider {each.name}")
    return {}


def _claim(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise CommandError(f"--claim: '{text}' is no claim", hint='write it as sub=alice or roles=["reader"]')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
