"""Tests of a policy set: its rules named `test_...`, run one by one, and why one failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from palisade import rego
from palisade.explain.rules import RuleIndex, branches
from palisade.explain.trace import Account, Tracer
from palisade.policy import revisions
from palisade.policy.sets import PolicySet
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.check.resolve import ref_text
from palisade.rego.errors import EvalError, Location
from palisade.rego.values import UNDEFINED

PREFIX, TODO = "test_", "todo_test_"

_COLLECTS = (
    "it collects cases, and one that fails would be missing there without a word: loop over them by `every`, "
    "or write a test for each"
)


class Outcome(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Test:
    """One test: the rules of one name in one package. `path` is where it stands below data."""

    path: tuple[str, ...]
    rules: tuple[CheckedRule, ...]

    @property
    def name(self) -> str:
        return ref_text(ast.Ref(ast.Var("data"), tuple(map(ast.Scalar, self.path))))

    @property
    def location(self) -> Location:
        return self.rules[0].rule.loc

    @property
    def todo(self) -> bool:
        """Whether it is marked as one that is yet to be written."""
        return self.path[-1].startswith(TODO)

    @property
    def collects(self) -> bool:
        """Whether its value is put together: a set, or an object of cases by name."""
        return any(
            len(rule.package) + 1 + len(rule.rule.head.path) > len(self.path)
            or rule.rule.head.key is not None
            for rule in self.rules
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a test, after so many seconds.

    `accounts` are of the rules that failed: which expressions held, which not, and the values in them.
    `error` is why it could not be run to its end, `printed` what `print` said.
    """

    test: Test
    outcome: Outcome
    seconds: float
    accounts: tuple[Account, ...] = ()
    error: str = ""
    printed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """The tests of a set, in the order of their files and lines."""

    policy: rego.Policy
    index: RuleIndex
    tests: tuple[Test, ...]
    _printed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, policy_set: PolicySet) -> Suite:
        """Raises CompileError."""
        printed: list[str] = []
        policy = revisions.compile_set(
            policy_set, tests=True, printed=lambda message, _: printed.append(message)
        )
        return cls(policy, RuleIndex(policy), tuple(_tests(policy, policy_set)), printed)

    def run(self, test: Test) -> Ended:
        """Runs one test, without an input and without a network: `with` gives it what it needs."""
        if test.todo:
            return Ended(test, Outcome.SKIPPED, 0.0)
        if test.collects:
            return Ended(test, Outcome.ERROR, 0.0, error=_COLLECTS)
        self._printed.clear()
        started = time.perf_counter()
        try:
            value = self.policy.evaluate(test.name)
        except EvalError as error:
            seconds = time.perf_counter() - started
            return Ended(test, Outcome.ERROR, seconds, error=str(error), printed=tuple(self._printed))
        seconds, printed = time.perf_counter() - started, tuple(self._printed)
        if value is True and len(test.rules) == 1:
            return Ended(test, Outcome.PASSED, seconds, printed=printed)
        accounts = tuple(self._failures(test))
        failed = accounts or value is not True
        return Ended(test, Outcome.FAILED if failed else Outcome.PASSED, seconds, accounts, printed=printed)

    def _failures(self, test: Test) -> Iterator[Account]:
        """Of each rule that does not hold the branch that came nearest: of several rules each is a test."""
        tracer = Tracer(self.policy, self.index, UNDEFINED)
        for rule in test.rules:
            tried = [tracer.account(branch) for branch in branches(rule)]
            if not any(each.allows for each in tried):
                yield max(tried, key=lambda each: each.reached)


def _tests(policy: rego.Policy, policy_set: PolicySet) -> Iterator[Test]:
    found: dict[tuple[str, ...], list[CheckedRule]] = {}
    files = {*policy_set.modules, *policy_set.tests}
    for rules in policy.checked.rules.values():
        for rule in rules:
            name = _name(rule.rule.head) if rule.file in files and not rule.arity else ()
            if name:
                found.setdefault((*rule.package, *name), []).append(rule)
    tests = [Test(path, tuple(rules)) for path, rules in found.items()]
    yield from sorted(tests, key=lambda each: each.location)


def _name(head: ast.Head) -> tuple[str, ...]:
    """The name of a test, up to the part of it that says so; empty for what is none."""
    name = [head.name.name]
    for part in head.path:
        if name[-1].startswith((PREFIX, TODO)) or not (
            isinstance(part, ast.Scalar) and isinstance(part.value, str)
        ):
            break
        name.append(part.value)
    return tuple(name) if name[-1].startswith((PREFIX, TODO)) else ()
