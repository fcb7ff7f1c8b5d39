"""Infer the types of terms and refuse what cannot hold: a call on operands the function does not take, a
comparison of what is never equal, a reference into what has no such key.

Types are known for literals, for what builtins yield, and so for rules; `input` and base documents may hold
anything unless a schema says more. A variable has the type of what it is bound to first. An argument of a
function has the type that its first use asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any as AnyNode

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.calls import NO_FUNCTION
from palisade.rego.check.matching import constant_key
from palisade.rego.check.problems import Problems
from palisade.rego.check.references import References, text_of
from palisade.rego.check.resolve import ref_text, root_of
from palisade.rego.check.schemas import overridden
from palisade.rego.check.signatures import Signature
from palisade.rego.check.type_tree import TypeNode, select_path
from palisade.rego.check.types import ANY, Type
from palisade.rego.check.variables import level_variables
from palisade.rego.errors import Location

_JOINED = "`concat` and `sprintf` join texts, `array.concat` arrays"
_WITHIN = "write `with` behind the expressions within the braces"


class TypeChecker(References):
    """Checks bodies against the types of documents and builtins. One instance a rule or query."""

    def __init__(
        self,
        documents: TypeNode,
        builtins: Mapping[str, t.Function],
        names: Mapping[str, str],
        problems: Problems,
    ) -> None:
        super().__init__(documents, names, problems)
        self.builtins = builtins
        # In rules OPA takes `==` for `=`, in queries it does not: there it may well be false.
        self.matches_equal = True

    # Statements -----------------------------------------------------------------------------------------

    def body(self, body: ast.Body) -> None:
        for each in body:
            before = self.inputs, self._put
            self._put_in(tuple(found for modifier in each.withs if (found := self._with(modifier))))
            is_side = each.negated and each.whole
            if self._muted or is_side:
                self._passed_over(each, is_side and _is_reference(each))
            else:
                _STATEMENTS[type(each)](self, each)
            self.inputs, self._put = before

    def _passed_over(self, node: ast.Statement, is_reference: bool) -> None:
        """What is negated as a whole, and the sides of `and` and `or`: OPA does not follow types there, and
        looks at comprehensions and templates in it, at references into documents and variables that have a
        type outside, and at those that are a side by themselves."""
        known, muted = dict(self.vars), self._muted
        self._muted = not is_reference
        _STATEMENTS[type(node)](self, node)
        self.vars, self._muted = known, muted

    def _with(self, node: ast.With) -> tuple[ast.Var | ast.Ref, Type] | None:
        """What `with` puts somewhere; None for a function, which stands in the place of one that takes what
        it takes, and of no part of the input."""
        value = node.value
        given = self._function(value) if isinstance(value, (ast.Var, ast.Ref)) else None
        function = self._function(node.target)
        if given is not None and root_of(node.target) != "input":
            if function is not None and not t.unifies(function, given):
                detail = f"have: {given}, want: {function}"
                self._error(f"{ref_text(node.target)}: arity mismatch", node.loc, detail)
            return None
        found = self.type_of(value) or ANY
        return None if function is not None else (node.target, found)

    def _put_in(self, puts: Sequence[tuple[ast.Var | ast.Ref, Type]]) -> None:
        """A document in whose place something is put may be that, or what it was: so it is to OPA."""
        tree, inputs = TypeNode(), self.inputs
        # What is put above another counts: it is all that OPA knows of what is below.
        for target, found in sorted(puts, key=lambda put: -len(_keys(put[0]))):
            keys = _keys(target)
            if root_of(target) == "input":
                known = select_path(inputs, [t.constant(key) for key in keys]) or ANY
                either = t.union(known, found) or ANY
                self.inputs = overridden(self.inputs, keys, either, others=t.STRING)
            elif keys:
                tree.insert([t.constant(key) for key in keys], t.union(self.known_of(target), found) or ANY)
        if tree.children:
            self._put = (tree, *self._put)

    def _expression(self, node: ast.Expression) -> None:
        term = node.term
        if type(term) is not ast.Call:
            self.type_of(term)
        elif term.name == "equal" and len(term.args) == 2 and self.matches_equal:
            self._equal(term.args[0], term.args[1], node.loc)
        else:
            self._called(term, node.loc)

    def _unify(self, node: ast.Unify | ast.Assign) -> None:
        self._equal(node.left, node.right, node.loc)

    def _equal(self, left: ast.Term, right: ast.Term, loc: Location) -> None:
        before = self.failed
        self.failed = False
        first, second = self.type_of(left), self.type_of(right)
        if not self.failed and not self.both(left, first, right, second):
            detail = f"left: {text_of(self.type_of(left))}, right: {text_of(self.type_of(right))}"
            self._error("match error", loc, detail)
        self.failed = self.failed or before

    def _some_in(self, node: ast.SomeIn) -> None:
        found = self.type_of(node.collection)
        if found is None:
            found = ANY
        keys = t.keys(found)
        if keys is None:
            self._error(f"undefined ref: {self._shown(node.collection)}[_]", node.loc, f"have: {found}")
            return
        values = t.values(found)
        if node.key is not None:
            if isinstance(node.key, ast.Scalar):
                values = t.select(found, t.constant(node.key.value))
            self.both(node.key, self.type_of(node.key), node.key, keys)
            if not self.fits(node.key, keys):
                self._error("match error", node.loc, f"left: {self._shown(node.key)}, right: {keys}")
                return
        if values is not None:
            self._equal_to(node.value, values, node.loc)

    def _equal_to(self, term: ast.Term, found: Type, loc: Location) -> None:
        known = self.type_of(term)
        fits = self.fits(term, found) if known is None else t.unifies(known, found)
        if not fits:
            self._error("match error", loc, f"left: {text_of(known)}, right: {found}")

    def _every(self, node: ast.Every) -> None:
        self.type_of(node.domain)
        for modifier in node.withs:
            if self._function(modifier.target) is not None:  # which OPA takes for a reference behind `every`
                message = f"function {ref_text(modifier.target)} used as reference, not called"
                self._error(message, modifier.loc, _WITHIN)
        for each in (node.key, node.value):
            if each is not None:
                self.vars[each.name] = ANY
        # OPA does not follow what the body's own variables are.
        for name in level_variables(node.body):
            self.vars.setdefault(name, ANY)
        self._muted_body(node.body)

    # The type of a term ---------------------------------------------------------------------------------

    def type_of(self, term: AnyNode) -> Type | None:
        """The term's type; None where it holds variables that nothing is known of yet. Checks all within."""
        return _TYPES[type(term)](self, term)

    def _scalar(self, term: ast.Scalar) -> Type:
        value = term.value
        return t.STRING if type(value) is str else t.scalar_type(value)

    def _var(self, term: ast.Var) -> Type | None:
        name = term.name
        found = self.vars.get(name)
        if found is None:
            if name == "input":
                return self.inputs
            if name == "data":
                return self.documents.extent()
        return found

    def _template(self, term: ast.TemplateString) -> Type:
        before, self._muted = self._muted, False
        for each in term.parts:
            if not isinstance(each, str):
                self.type_of(each)
        self._muted = before
        return t.STRING

    def _array(self, term: ast.Array) -> Type | None:
        found = [self.type_of(each) for each in term.items]
        if not found:
            return t.ANY_ARRAY
        known = [each for each in found if each is not None]
        return t.bounded(t.Array(tuple(known))) if len(known) == len(found) else None

    def _object(self, term: ast.Object) -> Type | None:
        static: list[tuple[t.Constant, Type]] = []
        dynamic: tuple[Type, Type] | None = None
        unknown = False
        for key, value in term.items:
            key_type, value_type = self.type_of(key), self.type_of(value)
            known = constant_key(key)
            if key_type is None or value_type is None:
                unknown = True
            elif known is not None:
                static.append((known, value_type))
            elif dynamic is None:
                dynamic = key_type, value_type
            elif dynamic != (key_type, value_type):
                # OPA has that of one of them, by names that it gives them: what it takes is not refused.
                dynamic = ANY, ANY
        if unknown:
            return None
        return t.bounded(t.Object(tuple(static), dynamic)) if static or dynamic else t.ANY_OBJECT

    def _set(self, term: ast.Set) -> Type | None:
        found: Type | None = None
        unknown = False
        for each in term.items:
            own = self.type_of(each)
            unknown = unknown or own is None
            found = t.union(found, own)
        return None if unknown else t.bounded(t.SetOf(found or ANY))

    def _muted_body(self, body: ast.Body) -> None:
        before, self._muted = self._muted, True
        self.body(body)
        self._muted = before

    def _within(self, body: ast.Body) -> None:
        """The body of a comprehension: OPA looks at all of it, wherever that stands."""
        before, self._muted = self._muted, False
        self.body(body)
        self._muted = before

    def _array_comprehension(self, term: ast.ArrayComprehension) -> Type:
        self._within(term.body)
        return t.Array((), self.type_of(term.term) or ANY)

    def _set_comprehension(self, term: ast.SetComprehension) -> Type:
        self._within(term.body)
        return t.SetOf(self.type_of(term.term) or ANY)

    def _object_comprehension(self, term: ast.ObjectComprehension) -> Type:
        self._within(term.body)
        return t.bounded(t.Object((), (self.type_of(term.key) or ANY, self.type_of(term.value) or ANY)))

    def _holds(self, term: ast.Holds) -> Type:
        self._muted_body(term.body)
        return t.BOOLEAN

    # Calls ----------------------------------------------------------------------------------------------

    def _call(self, term: ast.Call) -> Type | None:
        return self._called(term, term.loc)

    def _called(self, term: ast.Call, loc: Location) -> Type | None:
        """The type of what the call yields; a further argument is what its result is matched against."""
        before = self.failed
        self.failed = False
        known = [self.type_of(each) for each in term.args]
        function = self._function(term.operator)
        if function is None and not term.args and self._is_no_function(term.operator):
            name = ref_text(term.operator)
            self._error(f"undefined function {name}", term.loc, NO_FUNCTION)
        if function is None or self.failed:
            self.failed = self.failed or before
            return ANY if function is None else function.result
        wanted = function.args if function.result is None else (*function.args, function.result)
        for arg, found, want in zip(term.args, known, wanted, strict=False):
            fits = self.fits(arg, want) if found is None else self.accepts(arg, found, want)
            if not fits:
                have = ", ".join(text_of(self.type_of(each)) for each in term.args)
                want_text = ", ".join(map(str, function.args))
                detail = f"have: ({have}), want: ({want_text})"
                if term.name == "plus" and ("string" in have or "array" in have):
                    detail += f"; {_JOINED}"
                self._error(f"{ref_text(term.operator)}: invalid argument(s)", loc, detail)
                break
        self.failed = self.failed or before
        return function.result

    def _is_no_function(self, named: ast.Var | ast.Ref) -> bool:
        """Whether it names a rule that is not called. One that may be anything is, without arguments: so OPA
        has it."""
        return isinstance(named, ast.Ref) and self.type_of(named) != ANY

    def _function(self, named: ast.Var | ast.Ref) -> t.Function | None:
        """The function of that name; None for what names none, or a variable."""
        if isinstance(named, ast.Var) and named.name in self.vars:
            return None
        found: Type | None = self.builtins.get(ast.dotted(named))
        if found is None and isinstance(named, ast.Ref):
            parts = [part.value if isinstance(part, ast.Scalar) else None for part in named.path]
            found = self.documents.lookup([t.constant(part) for part in parts])
        return found if isinstance(found, t.Function) else None


def _is_reference(node: ast.Statement) -> bool:
    term = node.term if isinstance(node, ast.Expression) else None
    return isinstance(term, ast.Ref) and not isinstance(term.head, ast.Call)


def _keys(target: ast.Var | ast.Ref) -> tuple[str, ...]:
    path = target.path if isinstance(target, ast.Ref) else ()
    return tuple(str(key.value) for key in path if isinstance(key, ast.Scalar))


def function_types(builtins: Mapping[str, Signature]) -> dict[str, t.Function]:
    return {name: each.type for name, each in builtins.items()}


_TYPES: dict[type, Callable[[TypeChecker, AnyNode], Type | None]] = {
    ast.Scalar: TypeChecker._scalar,
    ast.Var: TypeChecker._var,
    ast.Ref: TypeChecker._ref,
    ast.Array: TypeChecker._array,
    ast.Set: TypeChecker._set,
    ast.Object: TypeChecker._object,
    ast.TemplateString: TypeChecker._template,
    ast.Call: TypeChecker._call,
    ast.ArrayComprehension: TypeChecker._array_comprehension,
    ast.SetComprehension: TypeChecker._set_comprehension,
    ast.ObjectComprehension: TypeChecker._object_comprehension,
    ast.Holds: TypeChecker._holds,
}

_STATEMENTS: dict[type, Callable[[TypeChecker, AnyNode], None]] = {
    ast.Expression: TypeChecker._expression,
    ast.Unify: TypeChecker._unify,
    ast.Assign: TypeChecker._unify,
    ast.SomeIn: TypeChecker._some_in,
    ast.Every: TypeChecker._every,
}
