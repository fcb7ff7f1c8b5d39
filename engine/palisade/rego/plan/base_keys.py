"""Documents whose keys are those of base documents: `blocked[id] := why if some id, why in data.blocked`.

Where such a document is looked up by one key, OPA gives that key to the rules and reads the base document
by it, from its store: the number 42 finds the entry "42" there, see `palisade.rego.stored`. Palisade makes
the whole document first, so the step into it has to find what the step into the base document would have.

That is so of keys that are used for nothing else. Where a rule asks more of one, `id != "1"`, or gives it as
its value, what OPA asks that of is the number. What comes of it is not known where the whole document is made
first: such a key is in doubt, and to look a number up that it spells is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from palisade.rego import ast
from palisade.rego.plan.tree import Member, Node, Path
from palisade.rego.stored import is_number

_MOST = 64
"""Of a document with more rules, of which some of the first have other keys, the rest are not looked at."""

_Place = tuple[str | None, ...]
"""Where base documents are read by a key: the path below `data` that leads there, None for any name."""


class BaseKeys(NamedTuple):
    """At which places behind a document's path a key is one of base documents."""

    surely: frozenset[int] = frozenset()
    """In all of its rules, which do nothing else with it."""
    in_doubt: frozenset[int] = frozenset()
    """In some of its rules, or in rules that ask more of it."""
    read: frozenset[tuple[int, _Place]] = frozenset()
    """The base documents that are read by such keys, each with the place of the key."""

    def unless(self, hidden: frozenset[Path]) -> BaseKeys:
        """The same where `with` puts something at these paths: what it puts there is found as it stands.
        Where a key reads other base documents, too, it is not known which of them an entry is of."""
        left = frozenset(each for each in self.read if not any(_meet(path, each[1]) for path in hidden))
        put = frozenset(at for at, _ in self.read - left)
        doubtful = (self.in_doubt - put) | (put & {at for at, _ in left})
        return BaseKeys(self.surely - put, doubtful, left)

    def read_at(self, place: int) -> list[_Place]:
        """The base documents that are read by the key at a place."""
        return sorted((each for at, each in self.read if at == place), key=repr)


NONE = BaseKeys()


def base_keys(root: Node, node: Node, known: dict[int, BaseKeys] | None = None) -> BaseKeys:
    """Where the document of the node has keys of base documents. `known` are those of others, by the node's
    identity, and those of this one from then on."""
    known = {} if known is None else known
    if id(node) not in known:
        known[id(node)] = _base_keys(root, node, known)
    return known[id(node)]


def _base_keys(root: Node, node: Node, known: dict[int, BaseKeys]) -> BaseKeys:
    if node.is_function or not (node.is_object or any(each.rule.head.is_set for each in node.members[:1])):
        return NONE
    found: set[int] = set()
    asked_more: set[int] = set()
    others: set[int] = set()
    read: set[tuple[int, _Place]] = set()
    shortest = min(len(_keys(each)) for each in node.members)
    for number, member in enumerate(node.members):
        if number >= _MOST and len(others) == shortest:
            rest = (_keys(each)[:shortest] for each in node.members[number:])
            asked_more |= {at for keys in rest for at, key in enumerate(keys) if isinstance(key, ast.Var)}
            break
        for place, key in enumerate(_keys(member)[:shortest]):
            reads = list(_reads(root, member, key, known)) if isinstance(key, ast.Var) else []
            if reads:
                read |= {(place, path) for each in reads for path in each.paths}
                plain = _only_reads(member, key, len(reads)) and not any(each.in_doubt for each in reads)
                (found if plain else asked_more).add(place)
            elif not (
                isinstance(key, ast.Scalar) and isinstance(key.value, str) and not is_number(key.value)
            ):
                others.add(place)
    surely = found - others - asked_more
    return BaseKeys(frozenset(surely), frozenset((found | asked_more) - surely), frozenset(read))


def _meet(path: Path, place: _Place) -> bool:
    """Whether one leads to what is below the other, or may."""
    return all(name is None or name == part for part, name in zip(path, place, strict=False))


def _keys(member: Member) -> tuple[ast.Term, ...]:
    key = member.rule.head.key
    return member.below if key is None else (*member.below, key)


def _only_reads(member: Member, key: ast.Term, reads: int) -> bool:
    """Whether the rule does nothing with the variable but read base documents by it."""
    rule = member.rule
    if rule.orelse or any(each.withs for each in rule.body):
        return False
    if sum(each == key for each in _keys(member)) != 1:
        return False
    return reads == sum(1 for each in _terms(member) for node in ast.walk(each) if node == key)


def _terms(member: Member) -> tuple[ast.Node, ...]:
    return (*member.rule.body, member.rule.head.value)


class _Read(NamedTuple):
    """A place at which a rule reads base documents by a key, or what rules make with keys of these."""

    paths: frozenset[_Place]
    in_doubt: bool


def _reads(root: Node, member: Member, wanted: ast.Var, known: dict[int, BaseKeys]) -> Iterator[_Read]:
    """Each place at which the rule reads by the variable what has keys of base documents."""
    for term in _terms(member):
        for each in ast.walk(term):
            if isinstance(each, ast.Ref):
                places = [(each, at) for at, key in enumerate(each.path) if key == wanted]
            elif isinstance(each, ast.SomeIn) and each.key == wanted and isinstance(each.collection, ast.Ref):
                places = [(each.collection, len(each.collection.path))]
            else:
                continue
            found = (_read(root, ref, at, known) for ref, at in places)
            yield from (one for one in found if one is not None)


def _read(root: Node, ref: ast.Ref, at: int, known: dict[int, BaseKeys]) -> _Read | None:
    """What the key at this place of a reference is one of, None where it is no key of base documents."""
    if not isinstance(ref.head, ast.Var) or ref.head.name != "data":
        return None
    node = root
    for depth, key in enumerate(ref.path[:at]):
        if not isinstance(key, ast.Scalar) or not isinstance(key.value, str):
            return None
        below = node.children.get(key.value)
        if below is None:
            return _Read(frozenset({tuple(_name(each) for each in ref.path[:at])}), in_doubt=False)
        node = below
        if node.members:
            keys, place = base_keys(root, node, known), at - depth - 1
            if place not in keys.surely | keys.in_doubt:
                return None
            return _Read(frozenset(keys.read_at(place)), place in keys.in_doubt)
    return None


def _name(key: ast.Term) -> str | None:
    return key.value if isinstance(key, ast.Scalar) and isinstance(key.value, str) else None
