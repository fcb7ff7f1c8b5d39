"""One reading of everything: palisade.yaml, the policy set, the revision, and what each sidecar gets of it.

Nothing here changes the running engine, so a broken edit cannot either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext

from palisade import rego
from palisade.decide.verified import would_look
from palisade.enforce.envoy import Enforcement, RuleCoverage, Verdict, compile_sidecar
from palisade.policy import inventory_file, revisions, sets, warnings
from palisade.policy.history import RuleCounts
from palisade.policy.inventory import Inventory
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.policy.source import SourceError
from palisade.rego.collector import collector_paused
from palisade.rego.errors import CompileError, Diagnostic, Location
from palisade.rego.partial import Indexes
from palisade.rego.values import Key, Value, equal

log = logging.getLogger(__name__)

INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A revision and the keys of its providers, lowered: what the sidecar of each function gets of them."""

    revision: Revision
    keys: Mapping[str, str]
    enforcements: Mapping[str, Enforcement]
    shadow: Revision | None = None
    """What is decided beside it in each sidecar, and only reported."""
    sent: Mapping[Key, Value] = field(default_factory=dict)
    """Answers of other hosts that it rests on, by the requests of `http.send`."""

    @property
    def asks(self) -> frozenset[Key]:
        """The requests of `http.send` that more is native with the answers of."""
        return frozenset().union(*(each.asks for each in self.enforcements.values()))

    @property
    def id(self) -> str:
        return self.revision.id

    def offers(self, function: str, version: str) -> bool:
        """Whether the snapshot of this version is what it gives to a function's sidecar."""
        enforcement = self.enforcements.get(function)
        return enforcement is not None and enforcement.snapshot.version == version

    def settings(self, function: str) -> str:
        """By which settings of providers a function's tokens are looked at (`palisade.decide.verified`)."""
        enforcement = self.enforcements.get(function)
        return enforcement.settings if enforcement is not None else ""

    def has_looked(self, function: str, settings: str, http: AttributeContext.HttpRequest) -> bool:
        """Whether it is the JWT filter of this that a request has met, which looked by these settings; where
        they are empty, it has left nothing."""
        enforcement = self.enforcements.get(function)
        if enforcement is None or settings:
            return settings == self.settings(function)
        places = enforcement.looks_at
        return not places or not would_look(places, http.headers, http.path)

    def reads_bodies(self, function: str) -> bool:
        """Whether the bodies of requests to a function are needed where the engine decides."""
        enforcement = self.enforcements.get(function)
        return enforcement is not None and enforcement.body

    @property
    def rules(self) -> RuleCounts:
        """How many rules there are, each counted as at the function where it needs the engine most."""
        different = {id(each): each for each in self.enforcements.values()}.values()
        if len(different) == 1:
            (only,) = different
            return counted(only.coverage, self.revision.policy)
        found: dict[tuple[Location, Verdict], RuleCoverage] = {}
        for enforcement in different:
            for each in enforcement.coverage:
                rule = each.location, each.verdict
                known = found.get(rule)
                if known is None or known.native:  # as nearly all are
                    found[rule] = each
                elif not each.native:
                    found[rule] = known.and_of(each)
        return counted(found.values(), self.revision.policy)


def counted(coverage: Iterable[RuleCoverage], policy: rego.Policy) -> RuleCounts:
    """How many rules the sidecar decides, always or but for some requests, and how many the engine: of the
    policy that is covered, as `palisade compile` counts them. `default` rules are left out."""
    rows = _rows(policy)
    native: dict[object, bool] = {}
    """By rule, whether all of it is."""
    at_times: set[object] = set()
    for each in coverage:
        at = _row(each.location)
        rule = rows.get(at, at)
        if rule is None or not each.comes:
            continue
        native[rule] = each.native and native.get(rule, True)
        if each.native or each.conditional:
            at_times.add(rule)
    others = [rule for rule, all_of_it in native.items() if not all_of_it]
    conditional = sum(rule in at_times for rule in others)
    return RuleCounts(len(native) - len(others), conditional, len(others) - conditional)


def _rows(policy: rego.Policy) -> dict[tuple[str, int], tuple[str, int] | None]:
    """The row of the rule for that of each of its `else` branches; None for that of a `default` rule."""
    found: dict[tuple[str, int], tuple[str, int] | None] = {}
    for rule in chain.from_iterable(policy.checked.rules.values()):
        own = rule.rule
        if own.default:
            found[_row(own.head.loc)] = None
        for branch in own.orelse:
            found[_row(branch.loc)] = _row(own.loc)
    return found


def _row(location: Location) -> tuple[str, int]:
    return location.file, location.row


@dataclass(frozen=True, slots=True)
class Candidate:
    """What reading the folder of a shadow gave: a revision, or why there is none; and what to watch."""

    folder: Path
    revision: Revision | None
    errors: tuple[Diagnostic, ...]
    folders: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading gave: a revision, or why there is none. And what to watch, in either case."""

    revision: Revision | None
    errors: tuple[Diagnostic, ...]
    seconds: float
    paths: tuple[Path, ...]
    folders: frozenset[Path]
    candidate: Candidate | None = None
    """None where no shadow is set, or palisade.yaml has errors."""
    warnings: tuple[Diagnostic, ...] = ()
    """What of the set, as far as it is not as before, nothing defines, and keys that stand twice."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was read before, and need not be parsed again; and the folder of the shadow, if one is set."""

    revision: Revision | None = None
    folder: Path | None = None
    shadow: Revision | None = None


def read(file: Path, known: Known = Known()) -> Reading:
    """Reads everything anew; what is as before is taken from there.

    What users did wrong is in `errors`; nothing is raised for it.
    """
    previous = known.revision
    started = time.perf_counter()
    paths: tuple[Path, ...] = (file,)
    if previous is not None:
        paths = (file, previous.inventory.policies)
    folders: frozenset[Path] = frozenset()
    revision: Revision | None = None
    errors: tuple[Diagnostic, ...] = ()
    brought: tuple[Diagnostic, ...] = ()
    inventory: Inventory | None = None
    try:
        inventory = inventory_file.load(file)
        paths = (file, inventory.policies)
        policy_set = revisions.read_set(inventory)
        folders = policy_set.folders
        revision = build(inventory, policy_set, previous)
        brought = warnings.brought(revision.policy, policy_set, previous.policy if previous else None)
        known_before = previous.policy_set.warnings if previous else ()
        brought += tuple(each for each in policy_set.warnings if each not in known_before)
    except sets.PolicySetError as error:
        folders, errors = error.rest.folders, error.errors
    except (SourceError, CompileError) as error:
        errors = tuple(error.errors)
    except Exception as error:
        errors = (internal_error(file, error),)
    seconds = time.perf_counter() - started
    candidate = None
    if known.folder is not None:
        # It stands above what is watched whether or not there is an inventory to read it for.
        paths = (*paths, known.folder)
        if inventory is not None:
            candidate = read_candidate(known.folder, inventory, known.shadow or revision or previous)
            folders |= candidate.folders
    return Reading(revision, errors, seconds, paths, folders, candidate, brought)


def read_candidate(folder: Path, inventory: Inventory, previous: Revision | None = None) -> Candidate:
    """Reads the policy set in another folder as if the inventory named that one."""
    folders: frozenset[Path] = frozenset()
    try:
        policy_set = revisions.read_set(replace(inventory, policies=folder))
        folders = policy_set.folders
        revision = build(inventory, policy_set, previous)
        return Candidate(folder, revision, (), folders)
    except sets.PolicySetError as error:
        return Candidate(folder, None, error.errors, error.rest.folders)
    except (SourceError, CompileError) as error:
        return Candidate(folder, None, tuple(error.errors), folders)
    except Exception as error:
        return Candidate(folder, None, (internal_error(folder, error),), folders)


def internal_error(file: Path, error: Exception) -> Diagnostic:
    """What is reported where the fault is this program's: a fault in compiling must not end the serving."""
    log.error("compiling failed", exc_info=error)
    message = f"compiling failed, which is a fault of Palisade's: {type(error).__name__}: {error}"
    hint = "please report it with the policy that was edited last; what is in force stays so"
    return Diagnostic(INTERNAL_ERROR, message, Location(str(file), 1, 1), hint=hint)


def build(inventory: Inventory, policy_set: PolicySet, previous: Revision | None = None) -> Revision:
    """The revision of the set for the inventory; the previous one where nothing that decides has changed.

    Raises CompileError and SourceError.
    """
    if previous is not None and previous.id == revisions.revision_id(inventory, policy_set):
        return replace(previous, inventory=inventory)
    return revisions.build(inventory, policy_set, previous)


def lower(
    revision: Revision,
    keys: Mapping[str, str],
    previous: Deployment | None = None,
    *,
    functions: Collection[str] | None = None,
    shadow: Revision | None = None,
    sent: Mapping[Key, Value] = MappingProxyType({}),
) -> Deployment:
    """The revision lowered for these functions, or all; what is as in the previous one is taken from there.
    `sent` are answers of `http.send` that stand, by their requests.

    Raises CompileError where the decision is none.
    """
    names = [name for name in revision.inventory.functions if functions is None or name in functions]
    if (
        previous is not None
        and (previous.revision.marked, previous.keys) == (revision.marked, keys)
        and set(previous.enforcements) == set(names)
        and (previous.shadow and previous.shadow.marked) == (shadow and shadow.marked)
        and same_answers(previous.sent, sent)
    ):
        return replace(previous, revision=revision, shadow=shadow)
    before = previous.enforcements if previous is not None else {}
    enforcements: dict[str, Enforcement] = {}
    shared: dict[object, Enforcement] = {}
    indexes = Indexes(shared=len(names) > 1)
    with collector_paused():
        for name in names:
            function, own = revision.inventory.functions[name], before.get(name)
            # Most policies do not ask which function it is: then one is compiled for all of them.
            alike = function.failure, own is not None, own and own.parts and own.parts.layout
            found = shared.get(alike)
            if found is None:
                last = own or next(iter(enforcements.values()), None)
                found = compile_sidecar(
                    revision,
                    function,
                    keys,
                    shadow,
                    previous=last,
                    divisible=True,
                    sent=sent,
                    indexes=indexes,
                )
                if found.for_any_function:
                    shared[alike] = found
            enforcements[name] = found
    return Deployment(revision, keys, MappingProxyType(enforcements), shadow, sent)


def same_answers(some: Mapping[Key, Value], others: Mapping[Key, Value]) -> bool:
    """Whether these are the same answers to the same requests."""
    return some.keys() == others.keys() and all(equal(some[request], others[request]) for request in some)
