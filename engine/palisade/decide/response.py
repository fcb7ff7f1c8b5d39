"""From a decision to the CheckResponse that carries it to Envoy, as OPA-Envoy spells it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, OkHttpResponse

from palisade.decide.decision import ALLOWED, Decision, Headers
from palisade_sidecar.asking import ANSWER_HEADER

PERMISSION_DENIED = 7  # google.rpc.Code

EXT_AUTHZ = "envoy.filters.http.ext_authz"
"""Where in Envoy's dynamic metadata `dynamic_metadata` arrives."""

METADATA = "palisade"
"""The key in Envoy's ext_authz metadata under which the engine leaves the id of its decision: the access log
hands it back, and so each decision is logged once."""

OBJECT = "{}"
"""Ends the name of a rule, as the native filter reports it, whose value is an object that says `allowed`
alone."""

ANSWER = "answer/"
"""What the name begins with under which the native filter reports that the sidecar itself gives such an
answer: `answer/allow/HASH/RULE` or `answer/deny/HASH/RULE`, the rule percent-encoded. It has no colon, so
the gate never takes it for the name of a rule that let a request pass."""

ANSWER_METADATA = "palisade.answer"
"""Where in Envoy's dynamic metadata the sidecar notes that answer for the decision log."""

FIELD = "field "
"""Begins the names under which it notes there what it has read of documents and put into the answer."""

IN_JSON = "\ue002"
"""Stands there behind the mark of a text in JSON of which the decision log shows the value."""


MOST_EXPLAINED = 1024
"""Characters of an explanation in a header."""

_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def printable(text: str) -> str:
    """A text as a header holds it: percent-encoded UTF-8 but for printable ASCII, cut where it is long."""
    pieces: list[str] = []
    left = MOST_EXPLAINED - len(_CUT)
    for char in text.encode("utf-8", "replace").decode():
        piece = quote(char, safe=_PLAIN)
        left -= len(piece)
        if left < 0:
            return "".join(pieces) + _CUT
        pieces.append(piece)
    return "".join(pieces)


_CUT = " ..."


def to_response(decision: Decision, decision_id: str, explanation: str = "") -> CheckResponse:
    """The response that makes Envoy do what the decision says; with an explanation for whoever asked."""
    response = CheckResponse()
    if not decision.allowed:
        response.status.code = PERMISSION_DENIED
        denied = response.denied_response
        denied.status.code = decision.status
        denied.headers.extend(_options(decision.headers))
        denied.body = decision.body
        if explanation:
            denied.headers.append(_explained(explanation))
    elif decision is not ALLOWED:  # which changes nothing of the request
        _change(response.ok_response, decision)
    if explanation and decision.allowed:
        response.ok_response.response_headers_to_add.append(_explained(explanation))
    fields = response.dynamic_metadata.fields
    if decision.dynamic_metadata:
        response.dynamic_metadata.update(decision.dynamic_metadata)
        fields.pop(METADATA, None)
    fields[METADATA].struct_value.fields["decision_id"].string_value = decision_id
    return response


def _change(ok: OkHttpResponse, decision: Decision) -> None:
    ok.headers.extend(_options(joined(decision.headers)))
    ok.response_headers_to_add.extend(
        _option(name, value, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD)
        for name, value in decision.response_headers_to_add
    )
    ok.headers_to_remove.extend(decision.request_headers_to_remove)
    for name, value in decision.query_parameters_to_set:
        ok.query_parameters_to_set.add(key=name, value=value)
    ok.query_parameters_to_remove.extend(decision.query_parameters_to_remove)


def joined(headers: Headers) -> Headers:
    """The headers with the values of each in one line, as a proxy may write them (RFC 9110, 5.3).

    ext_authz of Envoy 1.40 would keep only the last value of a request's header.
    """
    lines: dict[str, tuple[str, str]] = {}
    for name, value in headers:
        known = lines.get(name.lower())
        separator = "; " if name.lower() == "cookie" else ","  # RFC 6265, 5.4
        lines[name.lower()] = (name, value) if known is None else (known[0], f"{known[1]}{separator}{value}")
    return tuple(lines.values())


def _options(headers: Headers) -> Iterable[HeaderValueOption]:
    """The first value of a header replaces what is there, further ones are added to it."""
    seen: set[str] = set()
    for name, value in headers:
        repeated = name.lower() in seen
        seen.add(name.lower())
        add, overwrite = (
            HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
            HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        yield _option(name, value, add if repeated else overwrite)


def _explained(explanation: str) -> HeaderValueOption:
    return _option(ANSWER_HEADER, explanation, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)


def _option(name: str, value: str, action: HeaderValueOption.HeaderAppendAction) -> HeaderValueOption:
    option = HeaderValueOption(append_action=action)
    option.header.key = name
    option.header.value = value
    return option
