"""A list of rules as one of Envoy's matchers, so that the cost of a request hardly grows with their number.

The list is read from the top; the first rule that a request meets decides. What can be is made maps that
Envoy looks up. Envoy goes on behind a map whose entry did not lead to an action, which makes this exact
(tried on Envoy 1.40).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xds.type.matcher.v3.matcher_pb2 import Matcher

from palisade.enforce.envoy.matchers.behind import behind_others
from palisade.enforce.envoy.matchers.branches import action
from palisade.enforce.envoy.matchers.captures import MOST_WRITTEN, Capturing
from palisade.enforce.envoy.matchers.choices import MAX_LINEAR
from palisade.enforce.envoy.matchers.entry import Entry, Verdict, behind_beginnings
from palisade.enforce.envoy.matchers.exceptions import excepted
from palisade.enforce.envoy.matchers.implied import Guarded
from palisade.enforce.envoy.matchers.predicate import NO, YES, Constant, Predicate, Proto, Text, laid_texts
from palisade.enforce.envoy.matchers.stages import Gate, Lookup, Stage
from palisade.enforce.envoy.matchers.staging import Staging
from palisade.enforce.envoy.matchers.together import Joining
from palisade.enforce.envoy.matchers.writing import write
from palisade.rego.records import record

MAX_STAGES = 16
"""So many look-ups and lists in turn: each is nested in the one before, and protobuf reads 100 levels."""


@record()
class Tree:
    """Envoy's matcher, and the texts that the attributes' filter must lay down for it."""

    matcher: Matcher
    attributes: tuple[Text, ...]


def build(entries: Sequence[Entry], default: Entry, *, linear: int = MAX_LINEAR, share: int = 1) -> Tree:
    """The matcher of a list of rules. `default` decides where none of them does.

    It is one of so many as `share` says, which have the room for copies together.
    """
    live: list[Entry] = []
    guarded = Guarded()
    for entry in behind_others(entries):
        predicate = guarded.of(entry.predicate)
        if predicate == NO:
            continue
        live.append(replace(entry, predicate=predicate, within=guarded.of(entry.within)))
        if predicate == YES:
            break
    last = default
    if live and live[-1].predicate == YES:
        last = live.pop()
    while live and live[-1].verdict is last.verdict is Verdict.RESIDUAL:
        live.pop()
    live, last = excepted(live, last)
    building = _Building(Staging(linear, share), MOST_WRITTEN // share)
    return building.tree(behind_beginnings(live), last)


class _Building:
    def __init__(self, staging: Staging, capturing: int) -> None:
        self._staging = staging
        self._texts: dict[Text, None] = {}
        self._joining = Joining()
        self._capturing = Capturing(capturing)

    def tree(self, entries: Sequence[Entry], last: Entry) -> Tree:
        asked = (each for entry in entries for each in (entry.predicate, entry.within))
        self._texts.update(dict.fromkeys(laid_texts(asked)))
        stages = self._staging.of(entries)
        while len(stages) > MAX_STAGES:
            # Each stage is one level deeper: only look-ups of more constants are worth one.
            self._staging.coarser()
            stages = self._staging.of(entries)
        matcher = Matcher()
        self._chain(stages, action(last), matcher)
        texts = self._texts | self._capturing.texts
        return Tree(matcher, tuple(sorted(texts, key=lambda text: text.name)))

    def _chain(self, stages: Sequence[Stage], end: Matcher.OnMatch | None, into: Matcher) -> None:
        """The stages in turn, then `end`; without one, Envoy goes on behind the whole.

        All is built where it is to stand: what was built by itself would be copied once for each level.
        """
        for at, stage in enumerate(stages):
            if at:
                into.on_no_match.matcher.SetInParent()
                into = into.on_no_match.matcher
            if isinstance(stage, Lookup):
                self._look_up(stage, into)
                continue
            for entry in stage:
                item = into.matcher_list.matchers.add()
                self._write(entry.predicate, item.predicate)
                if isinstance(entry, Gate):
                    own = None if entry.end is None else action(entry.end)
                    self._chain(entry.stages, own, item.on_match.matcher)
                else:
                    item.on_match.CopyFrom(action(entry))
        if end is not None:
            into.on_no_match.CopyFrom(end)

    def _write(self, predicate: Predicate, into: Proto) -> None:
        joined = self._joining.of(predicate)
        # Joined it may turn out to hold never, or always, which Envoy has no matcher for.
        write(predicate if isinstance(joined, Constant) else joined, into, self._capturing.of)

    def _look_up(self, stage: Lookup, into: Matcher) -> None:
        if stage.text.guard:
            self._texts[stage.text] = None
            item = into.matcher_list.matchers.add()
            item.predicate.single_predicate.MergeFromString(stage.text.guard)
            into = item.on_match.matcher
        tree = into.matcher_tree
        tree.input.CopyFrom(stage.text.input())
        entries = tree.prefix_match_map.map if stage.prefixes else tree.exact_match_map.map
        shared: dict[tuple[Entry, ...], str] = {}
        for value in sorted(stage.table):
            below = tuple(stage.table[value])
            first = shared.setdefault(below, value)
            if first is value:
                self._below(list(below), entries[value])
            else:
                entries[value].CopyFrom(entries[first])

    def _below(self, entries: list[Entry], into: Matcher.OnMatch) -> None:
        end = None
        at = next((at for at, each in enumerate(entries) if each.predicate == YES), None)
        if at is not None:
            last = entries[at]
            if all(each.outcome == last.outcome for each in entries[:at]):
                into.CopyFrom(action(last))
                return
            entries, end = entries[:at], action(last)
        into.matcher.SetInParent()
        # Where no alternative of them holds they stay as they are: Envoy takes no empty matcher either.
        stages = self._staging.below(entries) or [entries]
        self._chain(stages, end, into.matcher)
