"""From what a client sends to the input that a policy sees: Envoy's CheckRequest, and claims of tokens."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf import json_format

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.interface import Sent, split_url
from palisade.decide.event import Decider
from palisade.decide.input import JWT_METADATA, InputError, to_input
from palisade.explain.arriving import PROTO, arriving
from palisade.explain.normal import ESCAPED_SLASH, normalized
from palisade.policy.inventory import EscapedSlashes
from palisade.policy.providers import Cookie, Header, Provider
from palisade.rego.values import Value

_BEGINS = re.compile(r"[A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True)
class Options:
    """What options of the command say of a request, whatever form it has."""

    function: str = ""
    headers: Sequence[str] = ()
    claims: Sequence[str] = ()
    provider: str = ""
    body: str = ""
    source: str = ""
    caller: str = ""
    entry: int | None = None
    escaped_slashes: EscapedSlashes = "reject"
    tls: bool = False
    trusted_hops: int = 0
    port: int = 0
    """Where the function's sidecar listens, if that is known. These four are as the function's settings have
    them."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of a request, as an entry of the decision log has it. What an entry lacks is empty."""

    allowed: bool
    status: int | None
    """The status of a denial."""
    rule: str
    revision: str
    error: str
    """Why no policy could decide."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as a policy sees it. `problem` says why no input can be made of it, if none can.

    `document` is then the input without the body, or None where even that is none. `title` is the request in
    short, `notes` what should be said beside the answer; `logged` what became of it by the decision log, and
    `decider` who decided, both None where that is not told.
    """

    title: str
    function: str
    document: Value | None
    notes: tuple[str, ...] = ()
    problem: str = ""
    logged: Logged | None = None
    decider: Decider | None = None


def asked(sent: Sent, options: Options, providers: Iterable[Provider]) -> Asked:
    """The input of a request that a client sends. Raises CommandError."""
    named, host, target = split_url(sent.url)
    source = address_of(options.source) if options.source else ""
    scheme = "https" if options.tls else "http"
    notes = list(sent.notes)
    given: dict[str, str] = {}
    for name, value in sent.headers:
        given[name] = f"{given[name]},{value}" if name in given else value  # as Envoy joins them
    given = arriving(given, notes, scheme=scheme, trusted_hops=options.trusted_hops, source=source)
    if given[PROTO] in ("http", "https"):
        scheme = given[PROTO]  # what a trusted proxy says
    if named and named != scheme:
        notes.append(f"this request arrives by {scheme}, not {named}: that is the scheme that policies see")
    given |= {":method": sent.method, ":path": target}
    if sent.body and given.keys().isdisjoint(("content-length", "transfer-encoding")):
        given["content-length"] = str(len(sent.body.encode()))  # as clients say it
    given[":authority"] = host = given.pop("host", "") or host or options.function
    given[":scheme"] = scheme
    target, as_sent = _normalized(target, options), target
    if target != as_sent:
        notes.append(f"Envoy makes {target} of the path {as_sent}")
    given[":path"] = target
    if sent.body and "content-type" not in given:
        notes.append(
            "no content-type says what the body is, so input.parsed_body is null: "
            "add -H 'content-type: application/json' if it is JSON"
        )
    verified = _claims(options, tuple(providers), given, notes)
    attributes: dict[str, Any] = {
        "request": {
            "http": {
                "method": sent.method,
                "path": target,
                "host": host,
                "scheme": scheme,
                "protocol": "HTTP/1.1",
                "headers": given,
                "body": sent.body,
            }
        }
    }
    if source:
        place = {"socket_address": {"address": source, "port_value": 40000}}
        attributes["source"] = {"address": place}
    if options.caller:
        attributes.setdefault("source", {})["principal"] = options.caller
    if options.port:
        attributes["destination"] = {"address": {"socket_address": {"port_value": options.port}}}
    if verified:
        attributes["metadata_context"] = {"filter_metadata": {JWT_METADATA: verified}}
    title = f"{sent.method} {target}"
    try:
        message = json_format.ParseDict({"attributes": attributes}, CheckRequest())
    except json_format.ParseError:
        raise no_text() from None
    document, problem = _document(message, options.function)
    if problem:
        message.attributes.request.http.body = ""
        document, _ = _document(message, options.function)
    return Asked(title, options.function, document, tuple(notes), problem)


def no_text() -> CommandError:
    """What is said of arguments that are no text."""
    # Python reads bytes of the command line that its locale does not know as halves of characters.
    hint = "is it UTF-8? In a locale that is not: LC_ALL=C.UTF-8 palisade explain ..."
    return CommandError("the request cannot be read as text", hint=hint)


def address_of(text: str) -> str:
    """An IP address as Envoy writes it. Raises CommandError."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise CommandError(f"--source: '{text}' is no IP address", hint="such as 192.0.2.7") from None


def _normalized(target: str, options: Options) -> str:
    if options.escaped_slashes == "reject" and ESCAPED_SLASH.search(target.partition("?")[0]):
        return target  # Envoy refuses it as it is
    return normalized(target, unescape=options.escaped_slashes == "unescape")


def _document(message: CheckRequest, function: str) -> tuple[Value | None, str]:
    try:
        return to_input(message, function), ""
    except InputError as error:
        return None, str(error)


def _claims(
    options: Options, providers: tuple[Provider, ...], headers: Mapping[str, str], notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Claims by provider: those given, or those of tokens in the request, taken without verifying them."""
    if options.claims:
        name = provider_of(options.provider, providers)
        if len(providers) > 1 and not options.provider:
            others = ", ".join(each.name for each in providers if each.name != name)
            notes.append(
                f"the claims are taken for those of provider {name}: --provider names another, of {others}"
            )
        return {name: claims_of(options.claims)}
    found: dict[str, dict[str, Any]] = {}
    for each in providers:
        for token in _tokens(each, headers):
            try:
                claims = jwt.decode(token, options={"verify_signature": False})
            except jwt.PyJWTError as error:
                notes.append(f"the token is no JSON Web Token, so it counts as none: {error}")
                continue
            if claims.get("iss") == each.issuer:
                notes.append("the token is taken for valid: explain verifies neither signature nor times")
                found[each.name] = claims
                break
            notes.append(f"the token's issuer {claims.get('iss')!r} is not that of provider {each.name}")
    return found


def provider_of(name: str, providers: tuple[Provider, ...]) -> str:
    """The provider that is named, or else the first one. Raises CommandError where there is no such one."""
    known = [each.name for each in providers]
    if not known:
        raise CommandError(
            "a token counts nowhere: the policies name no provider",
            hint="name the issuers whose tokens count in data.palisade.identity.providers",
        )
    if name and name not in known:
        raise CommandError(f"--provider: no provider '{name}'", hint=f"known here: {', '.join(known)}")
    return name or known[0]


def _tokens(provider: Provider, headers: Mapping[str, str]) -> Iterable[str]:
    """The tokens of a request, from where the provider has them."""
    for source in provider.tokens:
        if isinstance(source, Header):
            yield from _behind(source.prefix, headers.get(source.name, ""))
        elif isinstance(source, Cookie):
            try:
                cookies = SimpleCookie(headers.get("cookie", ""))
            except CookieError:
                continue
            if source.name in cookies:
                yield cookies[source.name].value
        else:
            yield from parse_qs(urlsplit(headers[":path"]).query).get(source.name, ())[:1]


def _behind(prefix: str, value: str) -> Iterable[str]:
    """The token behind a prefix of a header, as Envoy finds it: wherever the prefix stands, from the first
    character that a token may have, to a space. Without a prefix the value is the token."""
    if not prefix:
        return (value,) if value else ()
    _, _, rest = value.partition(prefix)
    begins = _BEGINS.search(rest)
    return (rest[begins.start() :].partition(" ")[0],) if begins else ()


def claims_of(texts: Iterable[str]) -> dict[str, Any]:
    """Claims by name, of `NAME=VALUE` each. Raises CommandError."""
    return dict(map(_claim, texts))


def _claim(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise CommandError(f"--claim: '{text}' is no claim", hint='write it as sub=alice or roles=["reader"]')
    try:
        return name, json.loads(value, parse_int=_whole, parse_float=_double, parse_constant=_is_text)
    except ValueError:
        return name, value
    except OverflowError as error:
        hint = "a sidecar takes no token that has it"
        raise CommandError(f"--claim: {name} has {error}", hint=hint) from None


def _double(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise OverflowError("a number that is larger than all doubles")
    return number


def _whole(digits: str) -> int:
    _double(digits)
    return int(digits)


def _is_text(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
