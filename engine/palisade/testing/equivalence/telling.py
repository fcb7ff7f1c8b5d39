"""A difference, told so that it can be pasted: a curl line, the input, and the command that explains it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palisade.rego.errors import EvalError
from palisade.rego.values import Value, to_json
from palisade.testing.equivalence.oracle import Difference, Tally
from palisade.testing.equivalence.requests import Request, beyond_curl, curl, quoted
from palisade.testing.equivalence.subject import Subject
from palisade.testing.equivalence.tokens import DECODED, KeyIssuer, SecretIssuer

_NOISE = frozenset(
    ("x-request-id", "x-forwarded-proto", "x-forwarded-for", "x-envoy-external-address", "authorization")
)


def summary(difference: Difference) -> str:
    """One sentence."""
    return f"{difference.seen}, and the evaluator decides to {difference.wanted}"


def lines(difference: Difference, data: Sequence[Path] = ()) -> list[str]:
    """What a person needs to see it happen again, to be pasted into a shell. `data` are further documents."""
    subject, request = difference.subject, difference.request
    found = [curl(request, str(subject.function.listen), tls=subject.function.tls is not None)]
    if request.caller is not None:
        found.append(f"# caller.pem: a certificate for {request.caller.told}")
    token = request.token
    if token is not None:
        state = "whose signature is broken" if token.spoiled else ""
        state = "for another audience" if token.foreign else state
        state += f"{' and' if state else ''} whose header names {token.named}" if token.named else ""
        claims = json.dumps(dict(token.claims), ensure_ascii=True)
        signer = signed_by(subject.signers, token.provider)
        found.append(f"# TOKEN: one {signer} {state}".rstrip() + f", with the claims {claims}")
    beyond = beyond_curl(request)
    if beyond:
        found.append(f"# sent {', '.join(beyond)}: curl sends no such request")
    if request.source != Request.source:
        found.append(f"# sent from {request.source}")
    if difference.input is None:
        found.append("# no input can be made of it")
    else:
        document = json.dumps(input_of(difference), ensure_ascii=True)
        found.append(f"echo {quoted(document)} | {_asks(subject, data)}")
    return found


def failures(subject: Subject, tally: Tally, data: Sequence[Path] = ()) -> list[str]:
    """The errors in which evaluations ended, each with the shortest of the requests on which it did.

    `data` are further documents.
    """
    found = []
    for error, each in sorted(tally.failing.items()):
        verbs = ("request ends", "is") if each.requests == 1 else ("requests end", "are")
        found.append(
            f"{each.requests:,} {verbs[0]} in an error of the policy, and {verbs[1]} denied: {error}"
        )
        shown = lines(Difference(subject, each.request, "", "", each.input), data)
        found += (f"    {line}" for line in shown)
    return found


def signed_by(signers: Mapping[str, SecretIssuer | KeyIssuer], name: str) -> str:
    """Whose token it is that has this name in place of a provider's."""
    if name.startswith(DECODED):
        return "with any signature, as the policy only decodes it"
    match signers.get(name):
        case SecretIssuer():
            return "signed with the policy's secret"
        case KeyIssuer():
            return "signed with a key in place of the policy's, which only this run takes for that"
    return f"of provider {name}"


def _asks(subject: Subject, data: Sequence[Path]) -> str:
    """The command that is asked with an input: `explain` needs an inventory, `eval` does without."""
    file = subject.revision.inventory.file
    if file.suffix in (".yaml", ".yml"):
        words = ["palisade", "explain", "-f", str(file), "-", "--function", subject.function.name]
    else:
        places = [word for each in (file, *data) for word in ("-d", str(each))]
        words = ["palisade", "eval", *places, "-i", "-", subject.rule]
    return " ".join(map(quoted, words))


def as_json(difference: Difference) -> dict[str, Any]:
    """The same for programs."""
    request = difference.request
    return {
        "seen": difference.seen,
        "wanted": difference.wanted,
        "request": {
            "method": request.method,
            "target": request.target,
            "headers": [list(each) for each in request.headers],
            "token": None
            if request.token is None
            else {
                "provider": request.token.provider,
                "claims": dict(request.token.claims),
                "spoiled": request.token.spoiled,
                "foreign": request.token.foreign,
                "named": request.token.named,
            },
            "body": request.body,
            "trailers": [list(each) for each in request.trailers],
            "protocol": request.protocol,
            "chunked": request.chunked,
            "source": request.source,
            "caller": None
            if request.caller is None
            else {
                "uris": list(request.caller.uris),
                "dns": list(request.caller.hosts),
                "common_name": request.caller.common_name,
            },
        },
        "curl": lines(difference)[0],
        "input": None if difference.input is None else input_of(difference),
    }


def input_of(difference: Difference) -> Any:
    """The input without what Envoy adds to each, as long as that decides the same."""
    whole = to_json(difference.input)
    short = _short(whole)
    return short if _answer(difference.subject, short) == _answer(difference.subject, whole) else whole


def _short(document: Any) -> Any:
    http = document["attributes"]["request"]["http"]
    kept = {
        name: http[name]
        for name in ("method", "path", "host", "scheme", "protocol", "body", "rawBody")
        if name in http
    }
    kept["headers"] = {
        name: value
        for name, value in http["headers"].items()
        if not name.startswith(":") and name not in _NOISE
    }
    attributes = {"request": {"http": kept}, "source": document["attributes"].get("source", {})}
    rest = {
        name: document[name]
        for name in ("parsed_path", "parsed_query", "parsed_body", "identity", "function", "peer")
        if document.get(name) not in (None, {})
    }
    return {"attributes": attributes, **rest}


def _answer(subject: Subject, document: Value) -> object:
    try:
        return to_json(subject.evaluate(document)) if document else None
    except (EvalError, TypeError) as error:
        return type(error).__name__
