"""Answers of `http.send` that are asked for before a request is there, as they stand for minutes.

Where a request says `force_cache`, OPA answers with what it fetched for as long as the request says, whatever
the server says. So the answer is known ahead, and what rests on it can be decided where nobody can fetch.
"""

from __future__ import annotations

import time

from palisade.rego.builtins.http_kept import keeping
from palisade.rego.builtins.http_requests import check_parameters
from palisade.rego.builtins.operands import Object
from palisade.rego.builtins.registry import Context, Network
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value

LEAST_SECONDS = 30
"""What is to be kept for less time is asked for when a request is there: fetching ahead would be a load."""

_MOST_BYTES = 1 << 20
_LONGEST = 20.0
"""Seconds for all of a fetch."""


def lasts(operand: Value) -> int:
    """For how many seconds an answer stands that is fetched ahead; 0 for what is not to be fetched so.

    That is a request that may change something, one whose answer is kept for a moment or as the server says,
    and what is no request.
    """
    if type(operand) is not dict or str(operand.get("method")).upper() != "GET":
        return 0
    try:
        check_parameters(operand)
        kept = keeping(operand)
    except BuiltinError:
        return 0
    return kept.seconds if kept is not None and kept.seconds >= LEAST_SECONDS else 0


def ask(network: Network, request: Object) -> Object:
    """The response, as `http.send` has it, asked for anew.

    Raises BuiltinError for one that would not be kept (a status such as 500), that is larger than 1 MiB, and
    for what keeps it from coming.
    """
    from palisade.rego.builtins import http_client  # which takes a while to load

    context = Context(time.time_ns(), network, deadline=time.monotonic() + _LONGEST)
    return http_client.fetched(context, request, _MOST_BYTES)
