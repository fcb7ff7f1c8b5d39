"""Which form a request has."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from palisade.cli.exit_codes import CommandError
from palisade.cli.requests import curl, document, har, line
from palisade.cli.requests.given import Asked, Options, asked
from palisade.cli.requests.interface import Sent, header
from palisade.policy import data as documents
from palisade.policy.providers import Provider
from palisade.policy.source import read_text
from palisade.rego.errors import Diagnostic

_HINT = (
    "write a request such as 'GET /orders/7', a curl command in quotes, or name a JSON file: "
    "an input, an entry of the decision log, or a HAR file"
)


def read(request: str, options: Options, providers: Iterable[Provider]) -> Asked:
    """The request that the argument of the command and its options spell. Raises CommandError."""
    if not request.strip():
        raise CommandError("the request is empty", hint=_HINT)
    sent = line.read(request) or curl.read(request)
    if sent is None:
        text = sys.stdin.read() if request == "-" else read_text(Path(request), request)
        sent = curl.read(text) if isinstance(text, str) else None
    if sent is not None:
        _have_no_entries(options)
        return asked(_with(sent, options), options, providers)
    found: Any = text if isinstance(text, Diagnostic) else documents.read("request.json", _last_line(text))
    if isinstance(found, Diagnostic):
        raise CommandError(f"{request}: {found.message}", hint=_HINT)
    if har.is_har(found):
        return asked(_with(har.read(found, options.entry), options), options, providers)
    _have_no_entries(options)
    return document.read(request, found, options, tuple(providers))


def _have_no_entries(options: Options) -> None:
    if options.entry is not None:
        raise CommandError("--entry: only a HAR file has entries", hint="leave it out")


def _with(sent: Sent, options: Options) -> Sent:
    """The request with what options of the command add to it."""
    more = tuple(header(each, "--header") for each in options.headers)
    return replace(sent, headers=(*sent.headers, *more), body=options.body or sent.body)


def _last_line(text: str) -> str:
    """Of several entries of a decision log, one a line, the last."""
    lines = text.strip().splitlines()
    return (
        lines[-1]
        if len(lines) > 1 and all(each.startswith("{") and each.endswith("}") for each in lines)
        else text
    )
