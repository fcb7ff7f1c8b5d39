"""Explanations in a response header, for callers who are trusted to ask.

Whom to trust is said by the address of the connection alone: what a client can say itself, as in
X-Forwarded-For, proves nothing. The sidecar asks the engine about such a request, whatever it could decide.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from palisade.control.explaining import Explanations
from palisade.decide.event import DecisionRecord
from palisade.decide.log import DecisionLog
from palisade.decide.response import printable
from palisade.policy.revisions import Revision
from palisade_sidecar.asking import ASK_HEADER

SECONDS = 0.8
"""How long an answer is held back for its explanation; the sidecar waits for twice as long."""
_PART = 0.5
"""The part of the sidecar's patience that is left for it at most."""

_LATE = "it took too long, as the first of a revision may; ask again"


class Telling:
    """What the decision service asks (`palisade.decide.service.Telling`)."""

    def __init__(
        self, explanations: Explanations, decisions: DecisionLog, revision: Callable[[str], Revision | None]
    ) -> None:
        """`revision` gives the revision by which the requests of a function are decided."""
        self._explanations = explanations
        self._decisions = decisions
        self._revision = revision

    def asked(self, function: str, attributes: AttributeContext) -> bool:
        """Whether a request asks for its explanation, and may."""
        if attributes.request.http.headers.get(ASK_HEADER) != "true":
            return False
        revision = self._revision(function)
        address = attributes.source.address.socket_address.address
        return revision is not None and _within(address, revision.inventory.explain.trusted)

    async def explanation(self, record: DecisionRecord, patience: float | None) -> str:
        """See `palisade.decide.explaining.Telling`."""
        event = self._decisions.shown(record)
        if event is None:
            return printable("not explained: the decision cannot be spelled")
        if "error" in event:
            error = event["error"]
            return printable(f"denied: {error['code']}: {error['message']}")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Mapping[str, Any]] = loop.create_future()

        def done(explanation: Mapping[str, Any]) -> None:
            if not found.done():
                found.set_result(explanation)

        self._explanations.explain(event, done, first=True)
        await asyncio.wait([found], timeout=min(SECONDS, SECONDS if patience is None else _PART * patience))
        told = found.result() if found.done() else {"missing": _LATE}
        return printable(told.get("text") or f"not explained: {told['missing']}")


@lru_cache(maxsize=1024)
def _within(address: str, ranges: tuple[str, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(each) for each in ranges)
