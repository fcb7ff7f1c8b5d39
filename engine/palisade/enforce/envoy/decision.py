"""From the outcome of the decision's rule to rules for Envoy, and an account of what is native."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.enforce.envoy import patterns
from palisade.enforce.envoy.lower import Lowering, Reason
from palisade.enforce.envoy.predicate import YES, all_of, negate, text_check
from palisade.enforce.envoy.sources import PATH_TEXT
from palisade.enforce.envoy.tree import Entry, Verdict
from palisade.rego.errors import NOWHERE, Location
from palisade.rego.partial import Case, Outcome
from palisade.rego.partial.terms import Known

RESIDUAL = "residual"
"""The name under which Envoy reports a request that goes on to the engine."""

ERROR = "error"
"""The name under which Envoy reports a request on which the evaluation ends in an error: denied."""


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """Where one rule is decided. `verdict` is what it decides; `native` whether Envoy always can."""

    location: Location
    verdict: Verdict
    native: bool
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Rules for Envoy in order, the last for all other requests, and what they cover."""

    entries: tuple[Entry, ...]
    default: Entry
    coverage: tuple[RuleCoverage, ...]

    @property
    def residual(self) -> bool:
        """Whether any request goes to the engine."""
        return any(e.verdict is Verdict.RESIDUAL for e in (*self.entries, self.default))


def decide(outcome: Outcome, providers: Sequence[str]) -> Decision:
    """Lowers a decision. What is neither surely allowed nor surely denied is residual."""
    lowering = Lowering(providers)
    entries: list[Entry] = []
    coverage: dict[tuple[Location, Verdict], RuleCoverage] = {}
    if outcome.error.kind != "false":
        bounds = lowering.bounds(outcome.error)
        entries.append(Entry(bounds.surely, Verdict.DENY, ERROR))
        entries.append(Entry(all_of((bounds.possibly, negate(bounds.surely))), Verdict.RESIDUAL, RESIDUAL))
    for verdict, run in _runs(outcome.cases):
        unsure: list[Entry] = []
        for case in run:
            bounds = lowering.bounds(case.condition)
            reasons = tuple(sorted(lowering.reasons(case.condition), key=lambda r: (r.location, r.text)))
            if verdict is Verdict.RESIDUAL:
                reasons = (Reason("answers with more than a boolean", case.label), *reasons)
            native = bounds.exact and verdict is not Verdict.RESIDUAL
            entries.append(Entry(bounds.surely, verdict, _name(case, verdict)))
            if not bounds.exact:
                unsure.append(Entry(bounds.possibly, Verdict.RESIDUAL, RESIDUAL))
            if case.label is not NOWHERE:
                known = coverage.get((case.label, verdict))
                if known is not None:
                    reasons = tuple(dict.fromkeys((*known.reasons, *reasons)))
                    native = native and known.native
                coverage[case.label, verdict] = RuleCoverage(case.label, verdict, native, reasons)
        # Where one rule of a run surely decides, it does not matter whether another might have too.
        entries.extend(unsure)
    default = Entry(YES, Verdict.DENY, "default")
    entries[:0] = _doubtful(lowering)
    return Decision(tuple(entries), default, tuple(coverage.values()))


def _doubtful(lowering: Lowering) -> list[Entry]:
    """The requests whose path the engine must read: broken escapes, and all escapes where a rule splits it.

    A path with a broken escape has no `parsed_path`; the engine denies it, as OPA-Envoy does.
    """
    if lowering.needs_clean_path:
        doubt = negate(text_check(PATH_TEXT, patterns.regex(patterns.CLEAN_PATH)))
    else:
        escaped = text_check(PATH_TEXT, StringMatcher(contains="%"))
        doubt = all_of((escaped, negate(text_check(PATH_TEXT, patterns.regex(patterns.VALID_ESCAPES)))))
    return [Entry(doubt, Verdict.RESIDUAL, RESIDUAL)]


def _runs(cases: Sequence[Case]) -> list[tuple[Verdict, list[Case]]]:
    runs: list[tuple[Verdict, list[Case]]] = []
    for case in cases:
        verdict = _verdict(case)
        if runs and runs[-1][0] is verdict:
            runs[-1][1].append(case)
        else:
            runs.append((verdict, [case]))
    return runs


def _verdict(case: Case) -> Verdict:
    """A boolean decides in Envoy; what says more, such as a status, is for the engine to answer."""
    if case.value is None:
        return Verdict.DENY
    if isinstance(case.value, Known) and not isinstance(case.value.value, dict):
        return Verdict.ALLOW if case.value.value is True else Verdict.DENY
    return Verdict.RESIDUAL


def _name(case: Case, verdict: Verdict) -> str:
    if verdict is Verdict.RESIDUAL:
        return RESIDUAL
    return "default" if case.label is NOWHERE else f"{case.label.file}:{case.label.row}"
