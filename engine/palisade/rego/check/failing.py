"""Constants that a builtin cannot work on: a pattern that is none, a network that is none, a duration.

The call is undefined whatever the request is. So what rests on it never holds, and holds with `not` before:
a request that a list of patterns was to deny is allowed, and nothing says so. OPA says nothing, either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from palisade.rego import ast
from palisade.rego.builtins.registry import BUILTINS
from palisade.rego.check.model import CheckedRule, CheckedSet
from palisade.rego.check.problems import Problems
from palisade.rego.check.resolve import DATA
from palisade.rego.errors import BuiltinError, Diagnostic
from palisade.rego.printer import print_scalar
from palisade.rego.values import UNDEFINED, Value

FAILING_CALL: Final = "failing_call"


_DEEPEST: Final = 8
"""So often a name is followed to what it stands for."""
_HINT: Final = "what rests on it never holds, and holds with not before it: correct it"


def _trying(name: str, *others: Value) -> Callable[[str], str]:
    """Tells why the builtin fails on a text; nothing where it does not. It takes the others beside that."""
    function = BUILTINS[name].function

    def tried(text: str) -> str:
        try:
            function(text, *others)
        except BuiltinError as error:
            return error.message
        return ""

    return tried


_PATTERN: Final = _trying("regex.match", "")
_NETWORK: Final = _trying("net.cidr_intersects", "192.0.2.0/24")
_TRIED: Final[Mapping[tuple[str, int], Callable[[str], str]]] = {
    ("regex.match", 0): _PATTERN,
    ("regex.find_n", 0): _PATTERN,
    ("regex.find_all_string_submatch_n", 0): _PATTERN,
    ("regex.split", 0): _PATTERN,
    ("regex.replace", 1): _PATTERN,
    ("glob.match", 0): _trying("glob.match", [], ""),
    ("net.cidr_contains", 0): _NETWORK,
    ("net.cidr_intersects", 0): _NETWORK,
    ("net.cidr_intersects", 1): _NETWORK,
    ("time.parse_duration_ns", 0): _trying("time.parse_duration_ns"),
}
"""By the builtin and the place of an operand: what tells why it fails there."""


def find(checked: CheckedSet, data: Value, modules: Iterable[ast.Module]) -> list[Diagnostic]:
    """The calls in these modules of the set that fail on constants, of their own or out of `data`."""
    found: list[Diagnostic] = []
    for module in modules:
        problems = Problems(module.source, module.lines)
        for result in checked.work.results[id(module)].rules:
            _calls(result.checked.rule, _Texts(checked, data, result.checked.rule), problems)
        found += problems.found
    return found


def _calls(rule: ast.Rule, texts: _Texts, problems: Problems) -> None:
    for call in ast.walk(rule):
        if not isinstance(call, ast.Call):
            continue
        for at, operand in enumerate(call.args):
            fails = _TRIED.get((call.name, at))
            for text in texts.of(operand) if fails is not None else ():
                if fails is not None and (why := fails(text)):
                    message = f"{call.name} fails on {print_scalar(ast.Scalar(text))}: {why}"
                    problems.add(message, operand.loc, FAILING_CALL, _HINT)


class _Texts:
    """The constant texts that an operand may be in a rule, as far as one looks: written there, assigned to
    its variable, or the members of a list that is written or stands in a rule or document."""

    def __init__(self, checked: CheckedSet, data: Value, rule: ast.Rule) -> None:
        self._checked = checked
        self._data = data
        self._assigned: dict[str, ast.Term] = {}
        self._members: dict[str, ast.Term] = {}
        for each in ast.walk(rule):
            if isinstance(each, ast.Assign | ast.Unify) and isinstance(each.left, ast.Var):
                self._assigned[each.left.name] = each.right
            elif isinstance(each, ast.SomeIn | ast.Every) and isinstance(each.value, ast.Var):
                self._members[each.value.name] = (
                    each.collection if isinstance(each, ast.SomeIn) else each.domain
                )

    def of(self, term: ast.Term) -> Iterator[str]:
        """The texts, of each one once."""
        yield from dict.fromkeys(self._of(term, _DEEPEST))

    def _of(self, term: ast.Term, deepest: int) -> Iterator[str]:
        if not deepest:
            return
        match term:
            case ast.Scalar(str(text)):
                yield text
            case ast.Var(name) if name in self._assigned:
                yield from self._of(self._assigned[name], deepest - 1)
            case ast.Var(name) if name in self._members:
                yield from self._in(self._members[name], deepest - 1)
            case ast.Ref(_, (*_, ast.Var(name))) if name not in self._assigned:
                yield from self._in(ast.Ref(term.head, term.path[:-1]), deepest - 1)
            case ast.Ref():
                given, document = self._found(term)
                if given is not None:
                    yield from self._of(given, deepest - 1)
                elif isinstance(document, str):
                    yield document

    def _in(self, term: ast.Term, deepest: int) -> Iterator[str]:
        """Those among the members of a collection."""
        if not deepest:
            return
        match term:
            case ast.Array(items) | ast.Set(items):
                for each in items:
                    yield from self._of(each, deepest - 1)
            case ast.Object(items):
                for _, value in items:
                    yield from self._of(value, deepest - 1)
            case ast.Var(name) if name in self._assigned:
                yield from self._in(self._assigned[name], deepest - 1)
            case ast.Ref():
                given, document = self._found(term)
                if given is not None:
                    yield from self._in(given, deepest - 1)
                elif isinstance(document, list | dict):
                    members = document.values() if isinstance(document, dict) else document
                    yield from (each for each in members if isinstance(each, str))

    def _found(self, ref: ast.Ref) -> tuple[ast.Term | None, Value]:
        """The term that a rule without conditions gives, or else what stands in the base documents."""
        keys = tuple(each.value for each in ref.path if isinstance(each, ast.Scalar))
        path = tuple(key for key in keys if isinstance(key, str))
        if ref.head != DATA or len(path) != len(ref.path):
            return None, UNDEFINED
        for length in range(len(path), 0, -1):
            rules = self._checked.rules.get(path[:length])
            if rules is not None:
                known = length == len(path) and _is_constant(rules)
                return rules[0].rule.head.value if known else None, UNDEFINED
        found = self._data
        for key in path:
            found = found.get(key, UNDEFINED) if isinstance(found, dict) else UNDEFINED
        return None, found


def _is_constant(rules: Sequence[CheckedRule]) -> bool:
    head = rules[0].rule.head
    return len(rules) == 1 and not rules[0].rule.body and head.key is None and not head.args
