"""What stands before a matcher: some requests are left to another filter, whatever the rules say of them."""

from __future__ import annotations

from envoy.config.rbac.v3.rbac_pb2 import RBAC, Action
from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.matchers.entry import Entry, Verdict
from palisade.enforce.envoy.matchers.predicate import Predicate, typed
from palisade.enforce.envoy.matchers.writing import write


def action(entry: Entry) -> Matcher.OnMatch:
    """What becomes of a request, under the entry's name: one that is left to another filter goes on there."""
    allowed = entry.verdict is not Verdict.DENY or bool(entry.answer)
    named = Action(name=entry.name, action=RBAC.Action.ALLOW if allowed else RBAC.Action.DENY)
    return Matcher.OnMatch(action=typed("palisade.action", named))


def branch(predicate: Predicate, then: Matcher.OnMatch, otherwise: Matcher) -> Matcher:
    """What becomes of requests of which the predicate holds, and what a matcher says of all others."""
    found = Matcher()
    item = found.matcher_list.matchers.add()
    write(predicate, item.predicate)
    item.on_match.CopyFrom(then)
    found.on_no_match.matcher.CopyFrom(otherwise)
    return found
