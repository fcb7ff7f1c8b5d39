"""Accounts of rules on one request: which of their expressions held, which failed, and the values in them.

The reference evaluator answers a query for each rule (`questions`). A rule that an expression refers to has
an account of its own where it says why the expression failed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from palisade import rego
from palisade.explain.questions import HELD, VALUES, Body, Shown
from palisade.explain.rules import Branch, RuleIndex, branches
from palisade.rego import ast
from palisade.rego.check.model import CheckedRule
from palisade.rego.check.resolve import ref_text
from palisade.rego.errors import CompileError, EvalError, Location
from palisade.rego.text import dumps
from palisade.rego.values import UNDEFINED, Set, Value, unkey

LIMITS = rego.Limits(seconds=0.5)
MOST_DEPTH = 4
MOST_RULES = 12
"""So many rules of one path are looked at to find those that came nearest."""
MOST_SHOWN = 2
"""So many of them are told of."""
MOST_STATEMENTS = 30
MOST_FAILURES = 6
"""So many failing expressions of one rule are told of."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A term as it stands in the source, and its value: UNDEFINED where it has none."""

    text: str
    value: Value
    node: ast.Node


@dataclass(frozen=True, slots=True)
class Expression:
    """One statement of a body. `held` is None for one that needs what another, which failed, would give."""

    location: Location
    text: str
    held: bool | None
    seen: tuple[Seen, ...] = ()
    because: tuple[Account, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one rule. `trouble` says why its expressions cannot be told apart, where they cannot."""

    location: Location
    line: str
    held: bool
    expressions: tuple[Expression, ...] = ()
    trouble: str = ""
    value: Expression | None = None
    """The rule's value, where the rule held and that is no constant: whether it is true."""

    @property
    def allows(self) -> bool:
        """Whether the rule held, and its value is true as far as that is told."""
        return self.held and (self.value is None or self.value.held is True)

    @property
    def reached(self) -> int:
        """How many expressions held."""
        return sum(each.held is True for each in self.expressions)


class Tracer:
    """Gives accounts of the rules of a policy. The policy must reach no host: nothing is to be sent twice."""

    def __init__(self, policy: rego.Policy, index: RuleIndex, document: Value) -> None:
        self._policy = policy
        self._index = index
        self._document = document
        self._left = MOST_RULES * 4

    def account(self, branch: Branch, args: Sequence[Value] = (), depth: int = 0) -> Account:
        """What became of a rule; `args` are those of a function."""
        self._left -= 1
        if len(branch.body) > MOST_STATEMENTS:
            return self._untold(branch, f"it has more than {MOST_STATEMENTS} expressions")
        if branch.telling is not None:
            # The value is asked like an expression behind the others.
            branch = replace(
                branch, body=(*branch.body, ast.Expression(branch.telling, loc=branch.telling.loc))
            )
        body = Body(branch, self._index, tuple(map(_literal, args)))
        if not branch.body:
            return Account(branch.location, self._index.line(branch.location), True)
        try:
            asked, failed = self._tested(branch, body)
            terms = body.terms(asked, failed)
            [*values] = self._ask(branch, body.values(asked, terms))[VALUES]
            given = self._gives(branch, body, asked, failed)
        except CompileError as error:
            return self._untold(branch, error.errors[0].message)
        except EvalError as error:
            return self._untold(branch, f"{error.code}: {error.message}")
        held = {**dict.fromkeys(asked, True), **dict.fromkeys(failed, False)}
        account = self._told(branch, held, terms, values[0] if values else [], depth)
        return account if given else replace(account, held=False)

    def _tested(self, branch: Branch, body: Body) -> tuple[list[int], set[int]]:
        """The statements that hold together, and those that fail."""
        failed: set[int] = set()
        for _ in range(MOST_FAILURES):
            asked = body.asked(failed)
            ways = self._ask(branch, body.held(asked))[HELD] if asked else []
            end = next((end for end, count in enumerate(ways) if not count), None)
            if end is None:
                return asked, failed
            failed.add(asked[end])
        return asked[:end], failed

    def _gives(self, branch: Branch, body: Body, asked: Sequence[int], failed: Container[int]) -> bool:
        """Whether the rule has a value, be it false, where its expressions hold."""
        last = len(branch.body) - 1
        if branch.telling is None or last not in failed or list(asked) != list(range(last)):
            return True
        return bool(self._ask(branch, body.defined(asked, branch.telling))[HELD][0])

    def valueless(self, rules: Iterable[CheckedRule]) -> list[str]:
        """Of rules whose expressions hold, and which give nothing, what of their values is undefined."""
        found = []
        for branch in _tried(rules):
            if self._left <= 0:
                break
            if isinstance(branch.value, ast.Scalar) or branch.rule.rule.head.path:
                continue
            self._left -= 1
            body, asked = Body(branch, self._index, ()), list(range(len(branch.body)))
            if not self._is_given(branch, body, asked, branch.value) and self._is_given(
                branch, body, asked, None
            ):
                missing = self._undefined(branch, body, asked, branch.value)
                text = " ".join(self._index.text(missing).split())
                found.append(
                    f"the expressions of {branch.location} hold, but it gives nothing: {text} is undefined"
                )
        return found

    def _undefined(self, branch: Branch, body: Body, asked: Sequence[int], term: ast.Node) -> ast.Node:
        """The innermost part of a term that has no value where the statements hold."""
        for part in term.children():
            for each in ast.walk(part):
                if isinstance(each, ast.Call | ast.Ref) and not self._is_given(branch, body, asked, each):
                    return self._undefined(branch, body, asked, each)
        return term

    def _is_given(self, branch: Branch, body: Body, asked: Sequence[int], term: ast.Term | None) -> bool:
        """Whether the statements hold and the term has a value then; `None` asks for the statements alone."""
        try:
            if term is None:
                return not asked or all(self._ask(branch, body.held(asked))[HELD])
            return bool(self._ask(branch, body.defined(asked, term))[HELD][0])
        except (CompileError, EvalError):
            return term is not None

    def _ask(self, branch: Branch, query: str) -> dict[str, Value]:
        [found] = self._policy.query(
            query,
            self._document,
            package=branch.rule.package,
            imports=self._index.imports(branch),
            limits=LIMITS,
            plain=False,
        )
        return found

    def _untold(self, branch: Branch, trouble: str) -> Account:
        return Account(branch.location, self._index.line(branch.location), False, trouble=trouble)

    def _told(
        self,
        branch: Branch,
        fared: Mapping[int, bool],
        terms: Sequence[Sequence[Shown]],
        values: Sequence[Value],
        depth: int,
    ) -> Account:
        expressions = []
        left = iter(values)
        for at, statement in enumerate(branch.body):
            text = self._index.text(statement)
            seen = [_seen(term, next(left, [])) for term in terms[at]]
            because = self._because(statement, seen, fared[at], depth) if at in fared else ()
            expressions.append(Expression(statement.loc, text, fared.get(at), _worth(seen), because))
        value = expressions.pop() if branch.telling is not None else None
        held = all(each.held for each in expressions)
        line = self._index.line(branch.location)
        return Account(branch.location, line, held, tuple(expressions), value=value if held else None)

    # Rules that an expression refers to -------------------------------------------------------------------

    def _because(
        self, statement: ast.Statement, seen: Sequence[Seen], held: bool, depth: int
    ) -> tuple[Account, ...]:
        if depth >= MOST_DEPTH or statement.withs:
            return ()
        accounts: list[Account] = []
        by_path: dict[tuple[str, ...], list[CheckedRule]] = {}
        for rule in self._index.referred(statement):
            by_path.setdefault(rule.path, []).append(rule)
        for path, rules in by_path.items():
            if self._left <= 0:
                break
            if rules[0].arity:
                accounts += self._of_function(rules, seen, statement.negated is held, depth)
            else:
                accounts += self._of_rule(path, rules, statement.negated, held, depth)
        return tuple(accounts[: MOST_SHOWN * 2])

    def _of_rule(
        self, path: tuple[str, ...], rules: Sequence[CheckedRule], negated: bool, held: bool, depth: int
    ) -> list[Account]:
        """Why a rule has the value that made an expression hold or fail, where that is worth telling."""
        value = self._value(path)
        positive = value is not UNDEFINED and value is not False
        if held:
            # A helper that held is told of; what merely names a part of the input is not.
            worth = value is True and not negated and depth < 2 and any(rule.rule.body for rule in rules)
            return self._accounts(rules, (), True, depth) if worth else []
        if positive and not negated and value is not True and not isinstance(value, Set | dict):
            return []
        if isinstance(value, Set | dict) and not value:
            return self._accounts(rules, (), False, depth)
        return self._accounts(rules, (), positive, depth)

    def _of_function(
        self, rules: Sequence[CheckedRule], seen: Sequence[Seen], failing: bool, depth: int
    ) -> list[Account]:
        for each in seen:
            node = each.node
            if not isinstance(node, ast.Call) or not isinstance(each.value, list):
                continue
            if rules[0] in self._index.referred(node):
                return self._accounts(rules, each.value, not failing, depth)
        return []

    def _accounts(
        self, rules: Sequence[CheckedRule], args: Sequence[Value], held: bool, depth: int
    ) -> list[Account]:
        """The rules that held, or those that came nearest to it."""
        found: list[Account] = []
        for branch in _tried(rules):
            if self._left <= 0 or len(found) >= MOST_RULES:
                break
            if branch.body:
                found.append(self.account(branch, args, depth + 1))
        chosen = [each for each in found if each.held is held]
        chosen.sort(key=lambda each: -each.reached)
        return chosen[:MOST_SHOWN]

    def _value(self, path: tuple[str, ...]) -> Value:
        reference = ref_text(ast.Ref(ast.Var("data"), tuple(map(ast.Scalar, path))))
        try:
            return self._policy.evaluate(reference, self._document)
        except EvalError:
            return UNDEFINED


def _tried(rules: Iterable[CheckedRule]) -> Iterator[Branch]:
    for rule in rules:
        if not rule.rule.default:
            yield from branches(rule)


def _seen(term: Shown, value: Value) -> Seen:
    return Seen(term.text, value[0] if value else UNDEFINED, term.node)


def _worth(seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """What is worth showing: no arguments twice, and no object of which a part is shown."""
    shown = [each for each in seen if not isinstance(each.node, ast.Call)]
    return tuple(
        each
        for each in shown
        if not any(other.text.startswith((f"{each.text}.", f"{each.text}[")) for other in shown)
    )


def _literal(value: Value) -> str:
    """A value as Rego spells it."""
    if isinstance(value, Set):
        return f"{{{', '.join(map(_literal, value))}}}" if value else "set()"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_literal(unkey(form))}: {_literal(item)}" for form, item in value.items())
            + "}"
        )
    return dumps(value)
