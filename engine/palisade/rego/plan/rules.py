"""A document or a function as one function of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import TypeAlias

from palisade.rego import ast, ir
from palisade.rego.plan.closures import headed
from palisade.rego.plan.memory import Planned, Section
from palisade.rego.plan.overlay import NONE
from palisade.rego.plan.program import Program, Task
from palisade.rego.plan.scope import Scope, term
from palisade.rego.plan.search import body
from palisade.rego.plan.tree import Member, is_passed_over
from palisade.rego.plan.unify import match

Terms: TypeAlias = tuple[ast.Term, ...]
_IsKind: TypeAlias = type[ir.IsObjectStmt] | type[ir.IsSetStmt]
_Make: TypeAlias = type[ir.MakeObjectStmt] | type[ir.MakeSetStmt]

_FOUND = ast.Var("found#0")
"""The result of a chain of branches, as a term."""


def plan(program: Program, task: Task) -> ir.Func:
    """The function of a node of the rule tree under an overlay."""
    members = task.node.members
    scope = Scope(program)
    scope.overlay = task.overlay
    slots = tuple(scope.local() for _ in task.overlay.slots)
    scope.slots = {name: ir.Local(slot) for name, slot in zip(task.overlay.slots, slots, strict=True)}
    result = scope.local()
    args = tuple(scope.local() for _ in range(1 if task.by_key else task.node.arity))
    function = _Function(scope, task, result, args)
    first = members[0]
    function.planned(first, function.start, "start")
    function.constant_paths(members)
    defaults = [each for each in members if each.rule.default and not is_passed_over(each.below, members)]
    function.rules(member for member in members if not member.rule.default)
    for member in defaults:
        function.planned(member, function.default, "rule")
    function.planned(first, function.end, "end")
    return ir.Func(
        name=program.function(task.node, task.overlay, by_key=task.by_key),
        params=(ir.INPUT, ir.DATA, *slots, *args),
        result=result,
        blocks=tuple(function.blocks),
        path=(task.generation, *task.node.path),
    )


class _Function:
    def __init__(self, scope: Scope, task: Task, result: int, args: tuple[int, ...]) -> None:
        self.blocks: list[ir.Block] = []
        self._scope = scope
        self._result = result
        self._args = args
        self._by_key = task.by_key
        self._is_object = task.node.is_object and not task.by_key
        self._is_set = task.node.members[0].rule.head.is_set and not self._is_object
        self._first_local = scope.next_local
        # Under an overlay the same rule comes to other blocks.
        plain = task.overlay == NONE and not task.by_key
        self._memory = scope.program.memory if plain else None
        self._path = task.node.path

    def start(self, first: Member) -> None:
        """An object or a set is there from the start, to be filled; other documents are undefined."""
        scope = self._scope
        scope.go_to(first.rule.head.loc)
        if not self._is_object and not self._is_set:
            return
        with scope.block(self.blocks):
            made = ir.MakeObjectStmt if self._is_object else ir.MakeSetStmt
            scope.add(made(self._result, **scope.at))

    def constant_paths(self, members: Iterable[Member]) -> None:
        """`r[1] contains x` is a set, however empty, and `r[1].a := x` has an object at 1, as in OPA.

        Where a variable stands beside the constants there is only what rules put in.
        """
        if not self._is_object:
            return
        rules = [(each.below, each.rule.head.is_set) for each in members]
        if not all(isinstance(below[0], ast.Scalar) for below, _ in rules):
            return
        scope = self._scope
        scope.next_local = self._first_local
        # In two blocks: in one they would be a constant to which rules add.
        with scope.block(self.blocks):
            made = list(self._constants(self._result, rules))
        with scope.block(self.blocks):
            # From within: to who follows the plan, what is put in is what it is then.
            for outer, key, inner in reversed(made):
                scope.add(ir.ObjectInsertStmt(term(scope, key), ir.Local(inner), outer, **scope.at))

    def _constants(
        self, outer: int, rules: Sequence[tuple[Terms, bool]]
    ) -> Iterator[tuple[int, ast.Term, int]]:
        """Makes what is there at the constants: in which object, by which key, which local."""
        below: dict[tuple[type, ast.Term], list[tuple[Terms, bool]]] = {}
        for (first, *rest), is_set in rules:
            if not isinstance(first, ast.Scalar):
                return
            below.setdefault((type(first.value), first), []).append((tuple(rest), is_set))
        for (_, key), inside in below.items():
            ends = [is_set for rest, is_set in inside if not rest]
            if ends and not any(ends):
                continue
            target = self._scope.local()
            self._scope.add((ir.MakeSetStmt if ends else ir.MakeObjectStmt)(target, **self._scope.at))
            yield outer, key, target
            if not ends:
                yield from self._constants(target, inside)

    def end(self, first: Member) -> None:
        scope = self._scope
        scope.go_to(first.rule.head.loc)
        with scope.block(self.blocks):
            scope.add(ir.ReturnLocalStmt(self._result, **scope.at))

    def planned(self, member: Member, plan: Callable[[Member], None], what: str) -> None:
        """Plans what a rule comes to, or takes it as it was planned before."""
        self._planned((member,), plan, what)

    def rules(self, members: Iterable[Member]) -> None:
        """Plans the rules that are no defaults, or takes them as they were planned before."""
        if self._memory is None:
            self._planned(members, self.rule, "rules")
            return
        members = tuple(members)
        section = self._memory.section(self._path, "rules")
        first, last, asked = section.ends([member.rule for member in members])
        self._take(section, first)
        self._planned(members[len(first) : len(members) - len(last)], self.rule, "rules")
        for planned in islice(section.now.found.values(), len(first), None):
            asked.add(planned)
        self._take(section, last)
        section.now.asked = asked
        self._scope.program.take(asked.strings.keys(), asked.builtins.keys(), asked.documents)

    def _take(self, section: Section, planned: Sequence[Planned]) -> None:
        """Takes what rules came to before; what they asked for is for the caller to ask for."""
        section.take(planned)
        self.blocks.extend(chain.from_iterable(map(attrgetter("blocks"), planned)))

    def _planned(self, members: Iterable[Member], plan: Callable[[Member], None], what: str) -> None:
        if self._memory is None:
            for member in members:
                plan(member)
            return
        program, section = self._scope.program, self._memory.section(self._path, what)
        for member in members:
            found = section.find(member.rule)
            if found is not None:
                program.take(found.strings, found.builtins, found.documents)
                self.blocks.extend(found.blocks)
                continue
            done, self.blocks = self.blocks, []
            with program.noting(member.rule, section, self.blocks):
                plan(member)
            blocks, self.blocks = self.blocks, done
            self.blocks.extend(blocks)

    def rule(self, member: Member) -> None:
        rule = member.rule
        if rule.orelse:
            self._chain(member)
            return
        self._begin(rule.head)
        with self._scope.block(self.blocks):
            self._match_arguments(member)
            statements = self._with_index(rule.head, rule.body, rule.head.value)
            self._search(statements, *self._delivery(member, _value(rule.head)))

    def default(self, member: Member) -> None:
        """A default stands in where no other rule has a result. Its arguments are plain: nothing to match."""
        scope = self._scope
        self._begin(member.rule.head)
        with scope.block(self.blocks):
            if self._is_object:
                there: ir.Operand = ir.Local(self._result)
                absent: list[ir.Block] = []
                with scope.block(absent):
                    for key in member.below:
                        there = scope.dot(there, term(scope, key))
                scope.add(ir.NotStmt(absent[0], **scope.at))
            else:
                scope.add(ir.IsUndefinedStmt(self._result, **scope.at))
            self._search((), *self._delivery(member, member.rule.head.value))

    # One rule -------------------------------------------------------------------------------------------

    def _begin(self, head: ast.Head) -> None:
        # Each rule counts its locals from the same number on: what one leaves behind no other reads.
        self._scope.next_local = self._first_local
        self._scope.go_to(head.loc)

    def _match_arguments(self, member: Member) -> None:
        patterns = member.below if self._by_key else member.rule.head.args or ()
        for local, pattern in zip(self._args, patterns, strict=True):
            match(self._scope, ir.Local(local), pattern)

    def _with_index(self, head: ast.Head, statements: ast.Body, value: ast.Term) -> ast.Body:
        """The body, with what OPA's index asks before the first statement that may end in an error, or before
        what the rule gives if that may."""
        program = self._scope.program
        made = (*head.path, *(() if head.key is None else (head.key,)), value)
        given = [ast.Expression(each, loc=each.loc) for each in made if not isinstance(each, ast.Scalar)]
        first = program.errors.first((*statements, *given))
        if first is None:
            return statements
        first = min(first, len(statements))
        before = program.index.asked_before(head, statements, value, first)
        return *statements[:first], *before, *statements[first:]

    def _search(self, statements: ast.Body, terms: Terms, then: Callable[[Terms], None]) -> None:
        prepared, named = headed(self._scope, statements, *terms)
        body(self._scope, prepared, lambda: then(named))

    def _chain(self, member: Member) -> None:
        """A rule with `else`: each branch is tried where those before have no result."""
        scope, rule = self._scope, member.rule
        self._begin(rule.head)
        found = scope.local()
        blocks: list[ir.Block] = []
        branches = [(rule.head.value, rule.body, rule.head.loc)]
        branches += [(each.value, each.body, each.loc) for each in rule.orelse]
        with scope.block(self.blocks):
            for index, (value, statements, location) in enumerate(branches):
                scope.go_to(location)
                with scope.block(blocks):
                    stmt = ir.IsUndefinedStmt if index else ir.ResetLocalStmt
                    scope.add(stmt(found, **scope.at))
                    self._match_arguments(member)
                    statements = self._with_index(rule.head, statements, value)
                    self._search(statements, (value,), lambda terms: self._once(terms, found))
            scope.go_to(rule.head.loc)
            with scope.block(blocks):
                scope.add(ir.IsDefinedStmt(found, **scope.at))
                scope.bind(_FOUND.name, ir.Local(found))
                self._search((), *self._delivery(member, _FOUND))
            scope.add_blocks(blocks)

    # What a result becomes ------------------------------------------------------------------------------

    def _delivery(self, member: Member, value: ast.Term) -> tuple[Terms, Callable[[Terms], None]]:
        """The terms that make up a result, and what is done with their values."""
        if self._is_object:
            return (*member.below, value), lambda terms: self._insert(terms, member.rule.head.is_set)
        if self._is_set:
            return (value,), self._add
        return (value,), lambda terms: self._once(terms, self._result)

    def _once(self, terms: Terms, target: int) -> None:
        scope = self._scope
        scope.add(ir.AssignVarOnceStmt(term(scope, terms[0]), target, **scope.at))

    def _add(self, terms: Terms) -> None:
        scope = self._scope
        scope.add(ir.SetAddStmt(term(scope, terms[0]), self._result, **scope.at))

    def _insert(self, terms: Terms, is_set: bool) -> None:
        """Puts a value into the object, or into a set in it, at a path; objects on the way are made."""
        scope, at = self._scope, self._scope.at
        *keys, value = (term(scope, each) for each in terms)
        within = [self._result]
        for key in keys[:-1]:
            within.append(self._reach(within[-1], key, ir.IsObjectStmt, ir.MakeObjectStmt))
        if is_set:
            within.append(self._reach(within[-1], keys[-1], ir.IsSetStmt, ir.MakeSetStmt))
            scope.add(ir.SetAddStmt(value, within[-1], **at))
        else:
            scope.add(ir.ObjectInsertOnceStmt(keys[-1], value, within[-1], **at))
        for outer, key, inner in reversed(list(zip(within, keys, within[1:], strict=False))):
            scope.add(ir.ObjectInsertStmt(key, ir.Local(inner), outer, **at))

    def _reach(self, outer: int, key: ir.Operand, is_kind: _IsKind, make: _Make) -> int:
        """What is at the key, made where nothing is there yet; another kind of value there is a conflict."""
        scope, at = self._scope, self._scope.at
        target = scope.reset()
        blocks: list[ir.Block] = []
        with scope.block(blocks):
            there = scope.dot(ir.Local(outer), key)
            scope.add(is_kind(there, **at))
            scope.add(ir.AssignVarStmt(there, target, **at))
        with scope.block(blocks):
            scope.add(ir.IsUndefinedStmt(target, **at))
            scope.add(make(target, **at))
            scope.add(ir.ObjectInsertOnceStmt(key, ir.Local(target), outer, **at))
        scope.add_blocks(blocks)
        return target


def _value(head: ast.Head) -> ast.Term:
    return head.value if head.key is None else head.key
