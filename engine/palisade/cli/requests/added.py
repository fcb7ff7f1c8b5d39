"""What options of the command add to an input: a header that the decision log masks, say."""

from __future__ import annotations

from collections.abc import Mapping

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests.given import Options, address_of, claims_of, no_text, provider_of
from palisade.cli.requests.interface import header
from palisade.decide.body import BodyError, parse_body
from palisade.explain.edits import HTTP, PEER, PRINCIPAL, SOURCE, ImpossibleError, look_up, put
from palisade.policy.providers import Provider
from palisade.rego.values import UNDEFINED, Value
from palisade_sidecar.peer import SPIFFE


def added(document: Value, options: Options, providers: tuple[Provider, ...]) -> Value:
    """The input with what the options say of its request. Raises CommandError.

    A header or a claim takes the place of what the input has under its name.
    """
    try:
        for each in options.headers:
            name, value = header(each, "--header")
            document = put(document, (*HTTP, "headers", name), value)
        if options.claims:
            document = _with_claims(document, options, providers)
        if options.body:
            document = _with_body(document, options.body)
        if options.source:
            document = put(document, SOURCE, address_of(options.source))
        if options.caller:
            spiffe = options.caller.startswith(SPIFFE)
            document = put(document, PRINCIPAL, options.caller)
            document = put(document, PEER, options.caller if spiffe else UNDEFINED)
    except ImpossibleError:
        raise CommandError(
            "the options do not go with the input: where they belong it has other than JSON objects",
            hint="correct its attributes or identity, or leave the options out",
        ) from None
    except UnicodeEncodeError:
        raise no_text() from None
    return document


def _with_claims(document: Value, options: Options, providers: tuple[Provider, ...]) -> Value:
    known = look_up(document, ("identity",))
    provider = look_up(document, ("identity", "provider"))
    if options.provider or not isinstance(provider, str):
        provider = provider_of(options.provider, providers)
    claims = look_up(known, ("claims",)) if known is not UNDEFINED else {}
    given = {**(claims if isinstance(claims, dict) else {}), **claims_of(options.claims)}
    return put(document, ("identity",), {"provider": provider, "claims": given})


def _with_body(document: Value, body: str) -> Value:
    headers = look_up(document, (*HTTP, "headers"))
    texts: Mapping[str, str] = headers if isinstance(headers, dict) else {}
    try:
        parsed, truncated = parse_body({**texts, "content-length": str(len(body.encode()))}, body.encode())
    except BodyError as error:
        raise CommandError(
            f"--body: {error}", hint="the content-type of the request says what it is"
        ) from None
    document = put(document, (*HTTP, "body"), body)
    return put(put(document, ("parsed_body",), parsed), ("truncated_body",), truncated)
