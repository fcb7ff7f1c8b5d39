"""A document or a function as one function of the plan."""

from __future__ import annotations

from collections.abc import Callable

from palisade.rego import ast, ir
from palisade.rego.plan.closures import headed
from palisade.rego.plan.program import Program, Task
from palisade.rego.plan.scope import Scope, term
from palisade.rego.plan.search import body
from palisade.rego.plan.tree import Member
from palisade.rego.plan.unify import match

Result = Callable[[], None]


def plan(program: Program, task: Task) -> ir.Func:
    """The function of a node of the rule tree under an overlay."""
    members = task.node.members
    scope = Scope(program)
    scope.overlay = task.overlay
    slots = tuple(scope.local() for _ in task.overlay.slots)
    scope.slots = {name: ir.Local(slot) for name, slot in zip(task.overlay.slots, slots, strict=True)}
    result = scope.local()
    args = tuple(scope.local() for _ in range(task.node.arity))
    function = _Function(scope, task, result, args)
    scope.go_to(members[0].rule.head.loc)
    function.start()
    defaults = [member.rule for member in members if member.rule.default]
    for member in members:
        if not member.rule.default:
            function.rule(member)
    for rule in defaults:
        function.default(rule)
    scope.go_to(members[0].rule.head.loc)
    with scope.block(function.blocks):
        scope.add(ir.ReturnLocalStmt(result, **scope.at))
    return ir.Func(
        name=program.function(task.node, task.overlay),
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
        self._is_object = task.node.is_object
        self._is_set = task.node.members[0].rule.head.is_set and not self._is_object
        self._first_local = scope.next_local

    def start(self) -> None:
        """An object or a set is there from the start, to be filled; other documents are undefined."""
        scope = self._scope
        if not self._is_object and not self._is_set:
            return
        with scope.block(self.blocks):
            made = ir.MakeObjectStmt if self._is_object else ir.MakeSetStmt
            scope.add(made(self._result, **scope.at))

    def rule(self, member: Member) -> None:
        rule = member.rule
        if rule.orelse:
            self._chain(rule)
            return
        self._begin(rule.head)
        with self._scope.block(self.blocks):
            if self._is_object:
                self._body(
                    rule.head, rule.body, self._last_terms(member), lambda terms: self._insert(member, terms)
                )
            elif self._is_set:
                self._body(rule.head, rule.body, (_key(rule.head),), self._add)
            else:
                self._body(
                    rule.head, rule.body, (rule.head.value,), lambda terms: self._once(terms, self._result)
                )

    def default(self, rule: ast.Rule) -> None:
        scope = self._scope
        scope.go_to(rule.head.loc)
        with scope.block(self.blocks):
            scope.add(ir.IsUndefinedStmt(self._result, **scope.at))
            # The arguments of a default function are plain variables: there is nothing to match.
            body(scope, *_prepared((), (rule.head.value,), lambda terms: self._once(terms, self._result)))

    # One rule -------------------------------------------------------------------------------------------

    def _begin(self, head: ast.Head) -> None:
        # Each rule counts its locals from the same number on: what one leaves behind no other reads.
        self._scope.next_local = self._first_local
        self._scope.go_to(head.loc)

    def _body(
        self,
        head: ast.Head,
        statements: ast.Body,
        terms: tuple[ast.Term, ...],
        then: Callable[[tuple[ast.Term, ...]], None],
    ) -> None:
        scope = self._scope
        for local, pattern in zip(self._args, head.args or (), strict=True):
            match(scope, ir.Local(local), pattern)
        body(scope, *_prepared(statements, terms, then))

    def _chain(self, rule: ast.Rule) -> None:
        """A rule with `else`: each branch is tried where those before have no result."""
        scope = self._scope
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
                    self._body(rule.head, statements, (value,), lambda terms: self._once(terms, found))
            scope.go_to(rule.head.loc)
            with scope.block(blocks):
                scope.add(ir.IsDefinedStmt(found, **scope.at))
                scope.add(ir.AssignVarOnceStmt(ir.Local(found), self._result, **scope.at))
            scope.add_blocks(blocks)

    # What a result becomes ------------------------------------------------------------------------------

    def _once(self, terms: tuple[ast.Term, ...], target: int) -> None:
        scope = self._scope
        scope.add(ir.AssignVarOnceStmt(term(scope, terms[0]), target, **scope.at))

    def _add(self, terms: tuple[ast.Term, ...]) -> None:
        scope = self._scope
        scope.add(ir.SetAddStmt(term(scope, terms[0]), self._result, **scope.at))

    def _last_terms(self, member: Member) -> tuple[ast.Term, ...]:
        head = member.rule.head
        return (*member.below, _key(head) if head.is_set else head.value)

    def _insert(self, member: Member, terms: tuple[ast.Term, ...]) -> None:
        """Puts a value into the object, or into a set in it, at a path; objects on the way are made."""
        scope, at = self._scope, self._scope.at
        value = term(scope, terms[-1])
        keys = [term(scope, each) for each in terms[:-1]]
        is_set = member.rule.head.is_set
        within = [self._result]
        for index, key in enumerate(keys if is_set else keys[:-1]):
            innermost = is_set and index == len(keys) - 1
            within.append(self._reach(within[-1], key, ir.MakeSetStmt if innermost else ir.MakeObjectStmt))
        if is_set:
            scope.add(ir.SetAddStmt(value, within[-1], **at))
        else:
            scope.add(ir.ObjectInsertOnceStmt(keys[-1], value, within[-1], **at))
        for outer, key, inner in reversed(list(zip(within, keys, within[1:], strict=False))):
            scope.add(ir.ObjectInsertStmt(key, ir.Local(inner), outer, **at))

    def _reach(
        self, outer: int, key: ir.Operand, make: type[ir.MakeSetStmt] | type[ir.MakeObjectStmt]
    ) -> int:
        """What is at the key, made where nothing is there yet."""
        scope, at = self._scope, self._scope.at
        target = scope.reset()
        found = ir.Block((ir.DotStmt(ir.Local(outer), key, target, **at),))
        made = ir.Block((ir.IsUndefinedStmt(target, **at), make(target, **at)))
        scope.add(ir.BlockStmt((found, made), **at))
        return target


def _key(head: ast.Head) -> ast.Term:
    return head.value if head.key is None else head.key


def _prepared(
    statements: ast.Body, terms: tuple[ast.Term, ...], then: Callable[[tuple[ast.Term, ...]], None]
) -> tuple[ast.Body, Result]:
    prepared, named = headed(statements, *terms)
    return prepared, lambda: then(named)
