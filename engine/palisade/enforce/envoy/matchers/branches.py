"""What stands before a matcher: some requests are left to another filter, whatever the rules say of them."""

from __future__ import annotations

from collections.abc import Mapping

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


def renamed(matcher: Matcher, names: Mapping[str, str]) -> Matcher:
    """The matcher of the same rules under other names."""
    found = Matcher()
    found.CopyFrom(matcher)
    known: dict[bytes, bytes] = {}
    rest = [found]
    while rest:
        node = rest.pop()
        tree = node.matcher_tree
        ends = [each.on_match for each in node.matcher_list.matchers]
        ends += tree.exact_match_map.map.values()
        ends += tree.prefix_match_map.map.values()
        if node.HasField("on_no_match"):
            ends.append(node.on_no_match)
        for end in ends:
            if end.HasField("matcher"):
                rest.append(end.matcher)
                continue
            config = end.action.typed_config
            if config.value not in known:
                named = Action.FromString(config.value)
                named.name = names[named.name]
                known[config.value] = named.SerializeToString(deterministic=True)
            config.value = known[config.value]
    return found


def branch(predicate: Predicate, then: Matcher.OnMatch, otherwise: Matcher) -> Matcher:
    """What becomes of requests of which the predicate holds, and what a matcher says of all others."""
    found = Matcher()
    item = found.matcher_list.matchers.add()
    write(predicate, item.predicate)
    item.on_match.CopyFrom(then)
    found.on_no_match.matcher.CopyFrom(otherwise)
    return found
