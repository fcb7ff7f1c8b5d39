"""From a decision to the CheckResponse that carries it to Envoy, as OPA-Envoy spells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from palisade.decide.decision import Decision, Headers

PERMISSION_DENIED = 7  # google.rpc.Code

METADATA = "palisade"
"""The key in Envoy's ext_authz metadata under which the engine leaves the id of its decision: the access log
hands it back, and so each decision is logged once."""


def to_response(decision: Decision, decision_id: str) -> CheckResponse:
    """The response that makes Envoy do what the decision says."""
    response = CheckResponse()
    if decision.allowed:
        ok = response.ok_response
        ok.headers.extend(_options(decision.headers))
        ok.response_headers_to_add.extend(_options(decision.response_headers_to_add))
        ok.headers_to_remove.extend(decision.request_headers_to_remove)
        for name, value in decision.query_parameters_to_set:
            ok.query_parameters_to_set.add(key=name, value=value)
        ok.query_parameters_to_remove.extend(decision.query_parameters_to_remove)
    else:
        response.status.code = PERMISSION_DENIED
        denied = response.denied_response
        denied.status.code = decision.status
        denied.headers.extend(_options(decision.headers))
        denied.body = decision.body
    metadata: Mapping[str, Any] = {**decision.dynamic_metadata, METADATA: {"decision_id": decision_id}}
    response.dynamic_metadata.update(metadata)
    return response


def _options(headers: Headers) -> Iterable[HeaderValueOption]:
    """The first value of a header replaces what is there, further ones are added to it."""
    seen: set[str] = set()
    for name, value in headers:
        option = HeaderValueOption()
        option.header.key = name
        option.header.value = value
        option.append_action = (
            HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
            if name.lower() in seen
            else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        )
        seen.add(name.lower())
        yield option
