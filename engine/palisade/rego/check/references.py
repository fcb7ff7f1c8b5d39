"""References: the types of what stands below `input`, `data` and variables, and what cannot stand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palisade.rego import ast
from palisade.rego.check import types as t
from palisade.rego.check.matching import Matcher
from palisade.rego.check.problems import Problems, shown
from palisade.rego.check.resolve import ref_text
from palisade.rego.check.schemas import overridden
from palisade.rego.check.type_tree import TypeNode, select_path
from palisade.rego.check.types import ANY, Type
from palisade.rego.errors import TYPE_ERROR, Location


class References(Matcher):
    """Follows references through the types of documents. `names` are those that stand for variables."""

    def __init__(self, documents: TypeNode, names: Mapping[str, str], problems: Problems) -> None:
        super().__init__()
        self.documents = documents
        self.inputs: Type = ANY
        self._data: list[tuple[tuple[str, ...], Type]] = []
        self._put: tuple[TypeNode, ...] = ()
        """What `with` puts below data, of the innermost statement first."""
        self.names = names
        self.problems = problems
        self.failed = False
        self._muted = False
        """Where OPA does not follow types: there only references into documents and variables are errors."""

    def override(self, path: tuple[str, ...], found: Type) -> None:
        """Takes a schema's word for the document at a path that starts at input or data."""
        if path[0] == "input":
            self.inputs = overridden(self.inputs, path[1:], found)
        else:
            self._data.insert(0, (path[1:], found))

    def _ref(self, term: ast.Ref) -> Type | None:
        head = term.head
        if isinstance(head, ast.Var):
            if head.name == "input":
                return self._behind(self.inputs, term, 0)
            if head.name != "data" and head.name not in self.vars:
                self.vars[head.name] = ANY
            before, self._muted = self._muted, False
            found = (
                self._document(term) if head.name == "data" else self._behind(self.vars[head.name], term, 0)
            )
            self._muted = before
            return found
        return self._behind(self.type_of(head) or ANY, term, 0)

    def known_of(self, target: ast.Var | ast.Ref) -> Type | None:
        """The type of the document that a target of `with` names, None where nothing can be there."""
        path = target.path if isinstance(target, ast.Ref) else ()
        keys = [t.constant(part.value) for part in path if isinstance(part, ast.Scalar)]
        put = self._put_there(path)
        return self.documents.lookup(keys) if put is None else select_path(put[0], keys[put[1] :])

    def _put_there(self, path: Sequence[ast.Term]) -> tuple[Type, int] | None:
        """The type of what `with` puts on the way of a path, and after how many steps; None where none is."""
        for tree in self._put:
            node, at = tree, 0
            while node.type is None and at < len(path):
                part = path[at]
                below = node.children.get(t.constant(part.value)) if isinstance(part, ast.Scalar) else None
                if below is None:
                    break
                node, at = below, at + 1
            goes_on = at < len(path) and node.type is None
            if not goes_on or (at and not _is_text(path[at])):
                return node.extent(), at
        return None

    def _document(self, term: ast.Ref) -> Type | None:
        put = self._put_there(term.path)
        if put is not None:
            return self._behind(put[0], term, put[1])
        for path, override in self._data:
            if tuple(part.value for part in term.path[: len(path)] if isinstance(part, ast.Scalar)) == path:
                return self._behind(override, term, len(path))
        node = self.documents
        for index, part in enumerate(term.path):
            if node.type is not None:
                found = self._behind(node.type, term, index)
                return self._declared(term) if found is not None else None
            if isinstance(part, ast.Scalar):
                if index < 2 and not isinstance(part.value, str) and self.documents.children:
                    self._undefined(term, index, t.scalar_type(part.value), t.STRING)
                    return None
                child = node.children.get(t.constant(part.value))
                if child is None:
                    return self._behind(ANY, term, index)
                node = child
            else:
                # OPA follows a collection nowhere, and takes it.
                collection = isinstance(part, (ast.Array, ast.Object, ast.Set))
                if not collection and not self._key(term, part, index, t.keys(node.extent()) or ANY):
                    return None
                self._behind(ANY, term, index + 1)
                return self._declared(term)
        found = node.extent()
        if isinstance(found, t.Function):
            self._undefined(term, len(term.path) - 1, found, None)
            return None
        return found

    def _declared(self, term: ast.Ref) -> Type | None:
        """The type at the path of a reference that was checked."""
        path = [t.constant(part.value) if isinstance(part, ast.Scalar) else None for part in term.path]
        return self.documents.lookup(path) or ANY

    def _behind(self, found: Type | None, term: ast.Ref, index: int) -> Type | None:
        """The type behind the path from `index` on; checks each key against what may stand there."""
        for at in range(index, len(term.path)):
            part = term.path[at]
            keys = t.keys(found)
            if keys is None:
                self._undefined(term, at, found, None)
                return None
            if isinstance(part, ast.Scalar):
                below = t.select(found, t.constant(part.value))
                if below is None:
                    self._undefined(term, at, t.scalar_type(part.value), keys, found)
                    return None
                found = below
            else:
                if not self._key(term, part, at, keys):
                    return None
                found = t.values(found)
        return found

    def _key(self, term: ast.Ref, part: ast.Term, index: int, keys: Type) -> bool:
        """Whether the term may be a key there; a new variable gets the keys' type."""
        known = self.type_of(part)
        fits = self.fits(part, keys) if known is None else self.accepts(part, known, keys)
        if not fits:
            self._undefined(term, index, known, keys)
        return fits

    def _undefined(
        self, term: ast.Ref, index: int, have: Type | None, want: Type | None, inside: Type | None = None
    ) -> None:
        detail = f"have: {text_of(have)}"
        if isinstance(have, t.Function):
            detail += ", a function: call it"
        choices = [key[1] for key, _ in inside.static] if isinstance(inside, t.Object) else []
        if choices:
            detail += f", want (one of): {choices}"
        elif want is not None:
            detail += f", want (type): {want}"
        self._error(f"undefined ref: {self._shown(term)}", term.loc, detail)

    # Errors ---------------------------------------------------------------------------------------------

    def _error(self, message: str, loc: Location, detail: str) -> None:
        if self._muted:
            return
        self.failed = True
        self.problems.add(message, loc, TYPE_ERROR, detail)

    def _shown(self, term: ast.Term) -> str:
        if isinstance(term, ast.Ref):
            path = tuple(
                ast.Var(self.names.get(part.name, shown(part.name))) if isinstance(part, ast.Var) else part
                for part in term.path
            )
            head = term.head
            if isinstance(head, ast.Var):
                head = ast.Var(self.names.get(head.name, head.name))
            return ref_text(ast.Ref(head, path))
        if isinstance(term, ast.Var):
            return self.names.get(term.name, shown(term.name))
        return self.problems.text(term, ref_text(term))


def _is_text(key: ast.Term) -> bool:
    return isinstance(key, ast.Scalar) and isinstance(key.value, str)


def text_of(found: Type | None) -> str:
    return "???" if found is None else str(found)
