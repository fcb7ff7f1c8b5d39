"""The statements that do not hold blocks: values, lookups, tests and calls, on symbols."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeVar

from palisade.rego import ir
from palisade.rego.partial.execution.builtin_calls import BuiltinCalls
from palisade.rego.partial.execution.flow import RESULT
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Overlay,
    SetOf,
    Symbol,
    Unknown,
)
from palisade.rego.partial.symbols import builtins as symbolic
from palisade.rego.partial.symbols.large import bounded
from palisade.rego.partial.symbols.worlds import ERROR, NEXT, RETURN, Env, Step, Unsupported
from palisade.rego.records import record
from palisade.rego.values import Set, Value, number

T = TypeVar("T")

_BY_NAME = "chooses one of many rules by a name that depends on the request"

_MOST_CALLED = 512
"""Of so many rules one is chosen by a name of the request; each is followed for every such choice."""

OF_RULES = 2
"""Rules take the input and the data; functions have parameters of their own beside."""

_MOST_DOTTED = 10_000
"""So many look-ups of names in environments are remembered."""

FIRST_PLACE = -1_000
"""Below all locals: where an environment keeps what was found out of the request on the way to it."""


def answered(env: Env) -> dict[int, Symbol]:
    """What was found out of the request on the way to an environment: it holds in blocks within, too."""
    return {place: value for place, value in env.items() if place <= FIRST_PLACE}


def _name_in_local(stmt: ir.DotStmt) -> tuple[int, int] | None:
    """The local that a constant name is looked up in, and the name's number; None for other look-ups."""
    source, key = stmt.source, stmt.key
    return (source.index, key.index) if type(source) is ir.Local and type(key) is ir.StringIndex else None


@record()
class Dotted:
    """A look-up in the request that leads from the state `env` to one other."""

    env: Env
    steps: list[Step]
    condition: Formula
    to: Env
    above: Formula | None
    """That there is what it looks in, which the condition implies."""


@record()
class AtName:
    """What stands at a constant name below `source`, a part of the request, where that is one value."""

    source: Input
    condition: Formula
    value: Symbol
    above: Formula | None
    """As in `Dotted`."""


class Statements(BuiltinCalls):
    """One method a statement of the IR: from an environment to the steps that the statement takes."""

    def __init__(
        self,
        policy: ir.Policy,
        given: Mapping[tuple[str, ...], Value],
        before: Statements | None = None,
    ) -> None:
        super().__init__(policy, given, before)
        self._dotted: dict[tuple[int, int, int, int], Dotted] = {}
        """Where constant names lead in the input, by the identity of the environment, which is kept for that.
        Rules begin in the same one, and most look up the same names first."""
        self._at_names: dict[tuple[int, int, ir.Stored], AtName] = {}
        """The same from any environment, by the identity of what the name stands in, which is kept for that:
        the rounds of a loop each begin in one of their own."""
        self._places: dict[object, tuple[int, object]] = {}
        """With what a question names by its identity, so that nothing else comes to have the same."""
        self._called: set[ir.Func | None] = set()
        """The functions that were called, by what is called too; None for one that there is not."""
        self._final: int | None = None
        """The local that ends the running function when it is set."""
        self._functions = {func.name: func for func in policy.funcs}
        rules = [func for func in policy.funcs if len(func.params) == OF_RULES]
        self._by_path: dict[tuple[object, ...], ir.Func] = {func.path: func for func in rules}
        """The rules by their paths: functions are at none, for whoever chooses by a name of the request."""
        self._below: dict[tuple[int, int], dict[tuple[object, ...], list[ir.Func]]] = {}
        """The functions by so many first names, those at paths of one length together."""
        self._handlers = _handlers_of(type(self))  # type: ignore[arg-type]  # a class has the hash of classes

    @abstractmethod
    def _call_function(self, func: ir.Func, args: tuple[Symbol, ...], target: int, env: Env) -> list[Step]:
        """The steps of a call of a planned function, whose result goes to the local `target`."""

    # Statements: values -------------------------------------------------------------------------------

    def _ResetLocalStmt(self, stmt: ir.ResetLocalStmt, env: Env) -> list[Step]:  # noqa: N802
        return [Step(TRUE, {local: value for local, value in env.items() if local != stmt.target})]

    def _NopStmt(self, stmt: ir.NopStmt, env: Env) -> list[Step]:  # noqa: N802
        return [Step(TRUE, env)]

    def _MakeNullStmt(self, stmt: ir.MakeNullStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known(None))

    def _MakeNumberIntStmt(self, stmt: ir.MakeNumberIntStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known(stmt.value))

    def _AssignIntStmt(self, stmt: ir.AssignIntStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known(stmt.value))

    def _MakeNumberRefStmt(self, stmt: ir.MakeNumberRefStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known(number(self._policy.strings[stmt.index])))

    def _MakeArrayStmt(self, stmt: ir.MakeArrayStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known([]))

    def _MakeObjectStmt(self, stmt: ir.MakeObjectStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known({}))

    def _MakeSetStmt(self, stmt: ir.MakeSetStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._set(env, stmt.target, Known(Set()))

    def _AssignVarStmt(self, stmt: ir.AssignVarStmt, env: Env) -> list[Step]:  # noqa: N802
        symbol = self._symbol(stmt.source, env)
        if symbol is None:
            return []
        return self._set(env, stmt.target, symbol)

    def _AssignVarOnceStmt(self, stmt: ir.AssignVarOnceStmt, env: Env) -> list[Step]:  # noqa: N802
        symbol = self._symbol(stmt.source, env)
        if symbol is None:
            return []
        old = env.get(stmt.target)
        if old is None:
            signal = RETURN if stmt.target == self._final else NEXT
            return [Step(TRUE, {**env, stmt.target: bounded(symbol)}, signal)]
        same = self.told_equal(old, symbol, self._where(stmt))
        return [Step(same, env), Step(self.builder.negate(same), env, ERROR)]

    # Statements: lookups and tests --------------------------------------------------------------------

    def _DotStmt(self, stmt: ir.DotStmt, env: Env) -> list[Step]:  # noqa: N802
        known = self._known_dot(stmt, env)
        if known is not None:
            return known.steps
        steps, source = self._dot(stmt, env), self._symbol(stmt.source, env)
        if len(steps) == 1 and steps[0].signal == NEXT and type(source) is Input:
            at = _name_in_local(stmt)
            if at is not None:
                above = self.builder.atom(Defined(source)) if source.path else None
                found = Dotted(env, steps, steps[0].condition, steps[0].env, above)
                self._keep_dotted(*at, stmt.target, found)
                named = AtName(source, found.condition, found.to[stmt.target], above)
                self._at_names[id(source), at[1], stmt.stored] = named
        return steps

    def _known_dot(self, stmt: ir.DotStmt, env: Env, *, recurs: bool = True) -> Dotted | None:
        """Where a look-up in the request leads, if one of the same name led to one state before. `recurs`:
        whether others may begin in this very environment, too."""
        at = _name_in_local(stmt)
        if at is None:
            return None
        source, name = at
        known = self._dotted.get((id(env), source, name, stmt.target))
        if known is not None:
            return known
        named = self._at_names.get((id(env.get(source)), name, stmt.stored))
        if named is None:
            return None
        to = {**env, stmt.target: named.value}
        found = Dotted(env, [Step(named.condition, to)], named.condition, to, named.above)
        if recurs:
            self._keep_dotted(source, name, stmt.target, found)
        return found

    def _keep_dotted(self, source: int, name: int, target: int, found: Dotted) -> None:
        if len(self._dotted) >= _MOST_DOTTED:
            self._dotted.clear()
        self._dotted[id(found.env), source, name, target] = found

    def _dot(self, stmt: ir.DotStmt, env: Env) -> list[Step]:
        source, part = self._symbol(stmt.source, env), self._symbol(stmt.key, env)
        if source is None or part is None:
            return []
        if stmt.stored is ir.Stored.IN_DOUBT:
            wrong = self.is_doubtful(source, part)
            errors = [Step(wrong, env, ERROR)] if wrong is not FALSE else []
            return [*errors, *self._found(stmt, source, part, env)]
        return self._found(stmt, source, part, env)

    def _found(self, stmt: ir.DotStmt, source: Symbol, part: Symbol, env: Env) -> list[Step]:
        if isinstance(source, Known) and not isinstance(part, Known):
            place = self._place((id(source.value), part, stmt.stored), source.value)
            if place in env:
                return self._set(env, stmt.target, env[place])
            found_at = self._looked_up(stmt.stored, source, part)
            cases = [case for case in found_at if case[0] is not FALSE]
            if len(cases) > 1:
                return [
                    Step(found, {**env, stmt.target: bounded(value), place: value}) for found, value in cases
                ]
            return self._cases(env, stmt.target, cases)
        return self._cases(env, stmt.target, self._looked_up(stmt.stored, source, part))

    def _looked_up(self, stored: ir.Stored, source: Symbol, part: Symbol) -> symbolic.Cases:
        of_base = stored in (ir.Stored.BASE, ir.Stored.OF_BASE)
        return self.dot_of_base(source, part) if of_base else self.dot(source, part)

    def _place(self, question: object, of: object = None) -> int:
        """Where environments keep the answer to a question that has several, each under a condition. `of` is
        what the question is about, where it names that by its identity.

        The next who asks in the same state gets it from there. Otherwise the state would be split by all of
        them again, and for a table of thousands of users each be tried with each.
        """
        return self._places.setdefault(question, (FIRST_PLACE - len(self._places), of))[0]

    def _cases(self, env: Env, target: int, cases: symbolic.Cases) -> list[Step]:
        return [
            Step(condition, {**env, target: bounded(value)})
            for condition, value in cases
            if condition is not FALSE
        ]

    def _EqualStmt(self, stmt: ir.EqualStmt, env: Env) -> list[Step]:  # noqa: N802
        a, b = self._symbol(stmt.a, env), self._symbol(stmt.b, env)
        if a is None or b is None:
            return []
        return [Step(self.equal(a, b), env)]

    def _NotEqualStmt(self, stmt: ir.NotEqualStmt, env: Env) -> list[Step]:  # noqa: N802
        a, b = self._symbol(stmt.a, env), self._symbol(stmt.b, env)
        if a is None or b is None:
            # As the planner uses it: an undefined operand is not equal to anything, the other side decides.
            return []
        return [Step(self.builder.negate(self.equal(a, b)), env)]

    def _IsDefinedStmt(self, stmt: ir.IsDefinedStmt, env: Env) -> list[Step]:  # noqa: N802
        return [Step(TRUE, env)] if stmt.source in env else []

    def _IsUndefinedStmt(self, stmt: ir.IsUndefinedStmt, env: Env) -> list[Step]:  # noqa: N802
        return [] if stmt.source in env else [Step(TRUE, env)]

    def _IsArrayStmt(self, stmt: ir.IsArrayStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._is_kind(stmt.source, env, "array")

    def _IsObjectStmt(self, stmt: ir.IsObjectStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._is_kind(stmt.source, env, "object")

    def _IsSetStmt(self, stmt: ir.IsSetStmt, env: Env) -> list[Step]:  # noqa: N802
        return self._is_kind(stmt.source, env, "set")

    def _is_kind(self, operand: ir.Operand, env: Env, kind: str) -> list[Step]:
        symbol = self._symbol(operand, env)
        if symbol is None:
            return []
        if isinstance(symbol, Unknown):
            return [Step(self.opaque(symbol.reason, symbol.location), env)]
        if isinstance(symbol, Known):
            wanted = {"array": list, "object": dict, "set": Set}[kind]
            return [Step(TRUE, env)] if isinstance(symbol.value, wanted) else []
        if isinstance(symbol, Gathered):
            return [Step(TRUE, env)] if symbol.kind == kind else []
        if isinstance(symbol, Overlay):
            return [Step(TRUE, env)] if kind == "object" else []
        if isinstance(symbol, (ArrayOf, ObjectOf, SetOf)):
            has = {ArrayOf: "array", ObjectOf: "object", SetOf: "set"}[type(symbol)]
            return [Step(TRUE, env)] if has == kind else []
        return [Step(self.is_kind(symbol, kind), env)]

    def _LenStmt(self, stmt: ir.LenStmt, env: Env) -> list[Step]:  # noqa: N802
        symbol = self._symbol(stmt.source, env)
        if symbol is None:
            return []
        if isinstance(symbol, Known):
            return self._set(env, stmt.target, Known(len(symbol.value)))
        if isinstance(symbol, (ArrayOf, ObjectOf)):
            return self._set(env, stmt.target, Known(len(symbol.items)))
        return self._cases(env, stmt.target, self._builtin("count", (symbol,), stmt))

    def _noting_calls(self, run: Callable[[], T]) -> tuple[T, set[ir.Func | None]]:
        """What it comes to, and the functions that were called for that, as in `_called`."""
        outer, self._called = self._called, set()
        try:
            return run(), self._called
        finally:
            outer |= self._called
            self._called = outer

    # Statements: calls --------------------------------------------------------------------------------

    def _CallStmt(self, stmt: ir.CallStmt, env: Env) -> list[Step]:  # noqa: N802
        args: list[Symbol] = []
        for operand in stmt.args:
            symbol = self._symbol(operand, env)
            if symbol is None:
                return []
            args.append(symbol)
        func = self._functions.get(stmt.func)
        if func is not None:
            return self._call_function(func, tuple(args), stmt.result, env)
        return self._cases(env, stmt.result, self._builtin(stmt.func, tuple(args), stmt))

    def _CallDynamicStmt(self, stmt: ir.CallDynamicStmt, env: Env) -> list[Step]:  # noqa: N802
        path: list[Symbol] = []
        for operand in stmt.path:
            symbol = self._symbol(operand, env)
            if symbol is None:
                return []
            path.append(symbol)
        args = tuple(env[local] for local in stmt.args)
        if all(isinstance(part, Known) for part in path):
            func = self._by_path.get(tuple(part.form for part in path if isinstance(part, Known)))
            if func is None:
                self._called.add(None)
                return []
            return self._call_function(func, args, stmt.result, env)
        self._called.add(None)  # an edit may bring one more
        steps: list[Step] = []
        for func in self._callable_at(path):
            here = self.builder.all(
                self.equal(part, Known(n)) for part, n in zip(path, func.path, strict=True)
            )
            steps += (
                Step(self.builder.both(here, each.condition), each.env, each.signal)
                for each in self._call_function(func, args, stmt.result, env)
            )
        return steps

    def _callable_at(self, path: Sequence[Symbol]) -> list[ir.Func]:
        """The rules that a path may name, some parts of which the request brings. Raises Unsupported."""
        if any(not isinstance(part, Known | Input | Element | Apply) for part in path):
            raise Unsupported(_BY_NAME)
        known = [(at, part.form) for at, part in enumerate(path) if isinstance(part, Known)]
        first = next(at for at, part in enumerate(path) if not isinstance(part, Known))
        below = self._below.get((len(path), first))
        if below is None:
            below = self._below[len(path), first] = defaultdict(list)
            for func in self._by_path.values():
                if len(func.path) == len(path):
                    below[func.path[:first]].append(func)
        named = below.get(tuple(form for at, form in known if at < first), ())
        found = [func for func in named if all(func.path[at] == form for at, form in known)]
        if len(found) > _MOST_CALLED:
            raise Unsupported(_BY_NAME)
        return found

    def _ReturnLocalStmt(self, stmt: ir.ReturnLocalStmt, env: Env) -> list[Step]:  # noqa: N802
        return [Step(TRUE, env, RETURN)]

    def _BreakStmt(self, stmt: ir.BreakStmt, env: Env) -> list[Step]:  # noqa: N802
        return [Step(TRUE, env, stmt.index)]

    def _ResultSetAddStmt(self, stmt: ir.ResultSetAddStmt, env: Env) -> list[Step]:  # noqa: N802
        result = env[stmt.value]
        if isinstance(result, ObjectOf):
            return self._set(env, RESULT, result.items[0][1])
        if isinstance(result, Known):
            return self._set(env, RESULT, Known(result.value["result"]))
        raise Unsupported("makes a document in a way that cannot be followed")


@cache
def _handlers_of(of: type) -> Mapping[type, Callable[..., list[Step]]]:
    """What carries out each kind of statement: functions of the class, as bound methods would leave a run,
    and all it holds, to the collector."""
    return {getattr(ir, name[1:]): getattr(of, name) for name in dir(of) if name.endswith("Stmt")}
