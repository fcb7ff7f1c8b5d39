"""Makes the formulas of one run, each once, and simplifies them where that is cheap."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from palisade.rego.partial.formulas.decided import MAX_PARTS, simplified
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Atom, Defined, Exists, Formula, In
from palisade.rego.partial.formulas.terms import Apply, Term
from palisade.rego.partial.formulas.ways import Ways

_FEW = 4
"""Of so many parts it is kept what they come to together."""


class Builder:
    """Makes each formula once, and simplifies where that is cheap: equal parts, complements, `In`."""

    def __init__(self) -> None:
        self._nodes: dict[object, Formula] = {}
        self._together: dict[tuple[Formula, ...], Formula] = {}
        """Conjunctions of few parts: what rules give is put together with the same again and again."""
        self._left: dict[tuple[object, ...], list[Formula] | None] = {}
        """What is left of parts beside each other, by the kind of formula and the parts: rules that look at
        one another come to the same parts hundreds of times."""
        self._ways: dict[tuple[Formula, Term], Ways] = {}
        self.parts = 0
        """How many parts all formulas that were made have together, those that share one each for itself."""
        self.alike: dict[object, Formula] = {}
        """Loops, by their collection and what their bodies say of a member: the first of those alike."""
        self.chosen: dict[object, Apply] = {}
        """What is chosen of members, by what that says whatever its loops are numbered: the first alike."""
        self.chooses = False
        """Whether terms may be the only member of what is gathered (`chosen`)."""

    @property
    def size(self) -> int:
        """How many formulas were made."""
        return len(self._nodes)

    def _node(self, kind: str, args: tuple[Formula, ...]) -> Formula:
        found = self._nodes.get((kind, args))
        if found is None:
            found = self._nodes[(kind, args)] = Formula(kind, args)
            self.parts += len(args)
        return found

    def atom(self, atom: Atom) -> Formula:
        """The formula that is one atom."""
        if isinstance(atom, In) and not atom.values:
            return FALSE
        if isinstance(atom, Exists) and atom.body is FALSE:
            return FALSE
        found = self._nodes.get(atom)
        if found is None:
            found = self._nodes[atom] = Formula("atom", atom=atom)
        return found

    def ways(self, formula: Formula, term: Term) -> Ways:
        """The alternatives of a disjunction by what the term is."""
        found = self._ways.get((formula, term))
        if found is None:
            found = self._ways[formula, term] = Ways(formula.args, term)
        return found

    def is_in(self, term: Term, values: Iterable[object]) -> Formula:
        """The term equals one of the key forms."""
        return self.atom(In(term, frozenset(values)))

    def negate(self, formula: Formula) -> Formula:
        if formula is TRUE:
            return FALSE
        if formula is FALSE:
            return TRUE
        if formula.kind == "not":
            return formula.args[0]
        return self._node("not", (formula,))

    def both(self, left: Formula, right: Formula) -> Formula:
        if left is TRUE or left is right:
            return right
        return left if right is TRUE else self.all((left, right))

    def all(self, parts: Iterable[Formula]) -> Formula:
        """The conjunction."""
        parts = tuple(parts)
        if len(parts) == 1:
            return parts[0]
        if len(parts) > _FEW:
            return self._all(parts)
        if parts not in self._together:
            self._together[parts] = self._all(parts)
        return self._together[parts]

    def _all(self, parts: tuple[Formula, ...]) -> Formula:
        flat = self._flatten("and", parts, neutral=TRUE, absorbing=FALSE)
        if flat is None:
            return FALSE
        if len(flat) > 1:
            flat = self._merge_in(flat)
            if FALSE in flat or _of_no_kind(flat) or _begins_otherwise(flat):
                return FALSE
            flat = _drop_implied(flat)
        return self._collect("and", flat, neutral=TRUE, absorbing=FALSE)

    def any(self, parts: Iterable[Formula]) -> Formula:
        """The disjunction."""
        if type(parts) is tuple and len(parts) == 1:
            return parts[0]
        flat = self._flatten("or", parts, neutral=FALSE, absorbing=TRUE)
        if flat is None:
            return TRUE
        return self._collect("or", self._union_in(flat), neutral=FALSE, absorbing=TRUE)

    @staticmethod
    def _flatten(
        kind: str, parts: Iterable[Formula], *, neutral: Formula, absorbing: Formula
    ) -> list[Formula] | None:
        flat: dict[Formula, None] = {}
        for part in parts:
            if part is absorbing:
                return None
            if part.kind == kind:
                flat.update(dict.fromkeys(part.args))
            elif part is not neutral:
                flat[part] = None
        return list(flat)

    def _collect(self, kind: str, flat: list[Formula], *, neutral: Formula, absorbing: Formula) -> Formula:
        present: set[Formula] = set()
        plain = True
        for part in flat:
            if part.atom is None:
                plain = False
                if part.kind == "not":
                    present = present or set(flat)
                    if part.args[0] in present:
                        return absorbing
        if not plain and len(flat) > 1:
            left = self._simplified(kind, flat)
            if left is None:
                return absorbing
            if left != flat:
                return self.all(left) if kind == "and" else self.any(left)
        if not flat:
            return neutral
        if len(flat) == 1:
            return flat[0]
        return self._node(kind, tuple(flat))

    def _simplified(self, kind: str, flat: list[Formula]) -> list[Formula] | None:
        """As `simplified`, which is asked once of the same parts."""
        if len(flat) > MAX_PARTS:
            return flat
        asked = (kind, *flat)
        if asked not in self._left:
            self._left[asked] = simplified(kind, flat, self)
        return self._left[asked]

    def _merge_in(self, flat: list[Formula]) -> list[Formula]:
        """`t in A and t in B` is `t in A & B`; `t in A and not (t in B)` is `t in A - B`."""
        wanted: dict[Term, frozenset[object]] = {}
        merged = False
        for part in flat:
            atom = part.atom
            if type(atom) is In:
                values = wanted.get(atom.term)
                merged = merged or values is not None
                wanted[atom.term] = atom.values if values is None else values & atom.values
        if not wanted:
            return flat
        rest: list[Formula] = []
        found: list[Formula] = []
        for part in flat:
            atom = part.atom
            if type(atom) is In:
                found.append(part)
                continue
            inner = part.args[0].atom if part.kind == "not" else None
            if type(inner) is In and inner.term in wanted:
                wanted[inner.term] -= inner.values
                merged = True
            else:
                rest.append(part)
        if merged:
            found = [self.is_in(term, values) for term, values in wanted.items()]
        return [*found, *rest]

    def _union_in(self, flat: list[Formula]) -> list[Formula]:
        """`t in A or t in B` is `t in A | B`. The union takes the place of the first."""
        union: dict[Term, set[object]] = {}
        for part in flat:
            if isinstance(part.atom, In):
                union.setdefault(part.atom.term, set()).update(part.atom.values)
        result: list[Formula] = []
        done: set[Term] = set()
        for part in flat:
            if not isinstance(part.atom, In):
                result.append(part)
            elif part.atom.term not in done:
                done.add(part.atom.term)
                result.append(self.is_in(part.atom.term, union[part.atom.term]))
        return result


def _of_no_kind(flat: list[Formula]) -> bool:
    """Whether a term would have to be of several kinds at once."""
    told: dict[Term, frozenset[str]] = {}
    for part in flat:
        for term, kinds in part.kinds:
            left = told[term] = kinds & told.get(term, kinds)
            if not left:
                return True
    return False


def _begins_otherwise(flat: list[Formula]) -> bool:
    """Whether a text would have to begin in two ways that do not go together."""
    told: dict[Term, list[str]] = {}
    for part in flat:
        if part.begins is not None:
            term, prefix = part.begins
            known = told.setdefault(term, [])
            if not all(prefix.startswith(each) or each.startswith(prefix) for each in known):
                return True
            known.append(prefix)
    return False


_atom_of = attrgetter("atom")


def _drop_implied(flat: list[Formula]) -> list[Formula]:
    """Leaves out `Defined(t)` where another part cannot hold unless t is defined."""
    if Defined not in map(type, map(_atom_of, flat)):
        return flat
    implied: set[Term] = set().union(*(part.beside for part in flat))
    return [part for part in flat if not (type(part.atom) is Defined and part.atom.term in implied)]
