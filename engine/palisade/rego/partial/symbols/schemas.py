"""`json.match_schema(x, schema)` of a constant schema, as conditions on the parts of `x`: of what type each
is, which are there, how long and how large they are.

What a keyword asks that no condition says, `format` or `$ref`, is left to the evaluator: only of documents
that are as all the others say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from palisade.rego.builtins import BUILTINS
from palisade.rego.builtins.schema_formats import FORMATS, UUID
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import FALSE, TRUE, Defined, Formula, IsKind, Test
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.terms import Apply, ArrayOf, Element, Input, Known, Symbol
from palisade.rego.partial.symbols.kinds import is_json, is_text
from palisade.rego.partial.symbols.sets import Cases
from palisade.rego.text import loads
from palisade.rego.values import to_json

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

_Term: TypeAlias = Input | Element | Apply
_Schema: TypeAlias = Mapping[str, Any]

AS_TEXT = "reads a text as JSON, for a schema"
"""The document may be a text, which is read as JSON: only the evaluator does that."""

_SENT = Input(("attributes", "request", "http", "body"))
"""The body as a text."""

_MOST = 300
"""So many schemas may stand within each other: more conditions would hardly fit into the sidecar."""

_DRAFT_4, _DRAFT_6 = "http://json-schema.org/draft-04/schema", "http://json-schema.org/draft-06/schema"
_UNKNOWN_TO = {
    _DRAFT_4: frozenset(("const", "contains", "else", "if", "propertyNames", "then")),
    _DRAFT_6: frozenset(("else", "if", "then")),
}
"""What a draft, where the schema names it, passes over."""

_UNSAID = frozenset(
    (
        *("$ref", "additionalItems", "contains", "dependencies", "multipleOf", "patternProperties"),
        *("propertyNames", "uniqueItems"),
    )
)
"""Keywords that no condition is made of."""


def match(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """What `json.match_schema` answers, `[matches, errors]`, for a document of the request."""
    document, given = args
    if not isinstance(document, Input | Element | Apply) or not isinstance(given, Known):
        return None
    if not BUILTINS["json.verify_schema"].function(given.value)[0]:
        return []
    schema: Any = loads(given.value) if isinstance(given.value, str) else to_json(given.value)
    if _size(schema) > _MOST:
        return None
    builder = run.builder
    read: _Term = document
    if is_text(document) or document == _SENT:
        # It is read as JSON, of which any value will do.
        read = Apply("json.unmarshal", (document,))
        taken = builder.atom(Defined(read))
    elif not is_json(document):
        return None  # there may be sets in it, which a schema takes for arrays
    else:
        taken = builder.any(_is(run, document, kind) for kind in ("object", "array"))
    matches = _Matching(run, schema).holds(read, schema)
    errors = Apply(".", (Apply("json.match_schema", (document, given)), Known(1)))
    found: Cases = [
        (builder.both(taken, matches), Known([True, []])),
        (builder.both(taken, builder.negate(matches)), ArrayOf((Known(False), errors))),
    ]
    if read == document:
        maybe = builder.both(_is(run, document, "string"), run.opaque(AS_TEXT, NOWHERE))
        found.append((maybe, run.unknown(AS_TEXT, NOWHERE)))
    return found


def _is(run: Members, term: _Term, kind: str) -> Formula:
    if kind in ("array", "object"):
        return run.builder.atom(IsKind(term, kind))
    return run.builder.atom(Test(Apply(f"is_{kind}", (term,))))


def _size(schema: Any) -> int:
    """How many schemas, or what else is listed there, stand in a schema."""
    if isinstance(schema, dict):
        return 1 + sum(map(_size, schema.values()))
    return sum(map(_size, schema)) if isinstance(schema, list) else 0


class _Matching:
    """Makes the conditions of one schema."""

    def __init__(self, run: Members, schema: Any) -> None:
        self.run = run
        named = schema.get("$schema") if isinstance(schema, dict) else None
        draft = named.rstrip("#") if isinstance(named, str) else ""
        self.passed_over: frozenset[str] = _UNKNOWN_TO.get(draft, frozenset())

    def holds(self, term: _Term, schema: Any) -> Formula:
        """The value, which is there, is as the schema says."""
        if isinstance(schema, bool):
            return TRUE if schema else FALSE
        own = {name: each for name, each in schema.items() if name not in self.passed_over}
        if "$ref" in own:
            return self._unsaid("$ref")  # beside which all else counts for nothing
        found = [self._of_keyword(term, name, own) for name in own]
        return self.run.builder.all(found)

    def _of_keyword(self, term: _Term, name: str, schema: _Schema) -> Formula:
        value, kind = schema[name], _KIND_OF.get(name, "")
        if name in _UNSAID:
            return TRUE if value is False else self._unsaid(name)
        if kind:
            return self._if_kind(term, kind, _OF_KIND[name](self, term, schema))
        made = _OF_ANY.get(name)
        return TRUE if made is None else made(self, term, schema)

    def _unsaid(self, keyword: str) -> Formula:
        return self.run.opaque(f"asks by {keyword} of a schema, which cannot be followed", NOWHERE)

    def _if_kind(self, term: _Term, kind: str, then: Formula) -> Formula:
        """Of values of other kinds the keyword asks nothing."""
        builder = self.run.builder
        return builder.any((builder.negate(self._is(term, kind)), then))

    def _is(self, term: _Term, kind: str) -> Formula:
        return _is(self.run, term, kind)

    def _all(self, term: _Term, schemas: Iterable[Any]) -> list[Formula]:
        return [self.holds(term, each) for each in schemas]

    # Of values of any kind --------------------------------------------------------------------------------

    def type_(self, term: _Term, schema: _Schema) -> Formula:
        named = schema["type"]
        kinds = [named] if isinstance(named, str) else named
        return self.run.builder.any(self._type(term, each) for each in kinds)

    def _type(self, term: _Term, name: str) -> Formula:
        if name != "integer":
            return self._is(term, name)
        whole = self.run.is_one_of(Apply("rem", (term, Known(1))), [0])
        return self.run.builder.both(self._is(term, "number"), whole)

    def enum(self, term: _Term, schema: _Schema) -> Formula:
        return self.run.builder.any(self._same(term, each) for each in schema["enum"])

    def const(self, term: _Term, schema: _Schema) -> Formula:
        return self._same(term, schema["const"])

    def _same(self, term: _Term, value: Any) -> Formula:
        return self.run.equal(term, Known(value))

    def all_of(self, term: _Term, schema: _Schema) -> Formula:
        return self.run.builder.all(self._all(term, schema["allOf"]))

    def any_of(self, term: _Term, schema: _Schema) -> Formula:
        return self.run.builder.any(self._all(term, schema["anyOf"]))

    def one_of(self, term: _Term, schema: _Schema) -> Formula:
        builder = self.run.builder
        found = self._all(term, schema["oneOf"])
        return builder.any(
            builder.all(each if at == chosen else builder.negate(each) for at, each in enumerate(found))
            for chosen in range(len(found))
        )

    def not_(self, term: _Term, schema: _Schema) -> Formula:
        return self.run.builder.negate(self.holds(term, schema["not"]))

    def if_(self, term: _Term, schema: _Schema) -> Formula:
        builder = self.run.builder
        asked = self.holds(term, schema["if"])
        then, otherwise = (self.holds(term, schema.get(branch, True)) for branch in ("then", "else"))
        return builder.any((builder.both(asked, then), builder.both(builder.negate(asked), otherwise)))

    # Of objects -------------------------------------------------------------------------------------------

    def required(self, term: _Term, schema: _Schema) -> Formula:
        names = schema["required"]
        return self.run.builder.all(
            self.run.builder.atom(Defined(at_key(term, Known(name)))) for name in names
        )

    def properties(self, term: _Term, schema: _Schema) -> Formula:
        builder = self.run.builder
        found: list[Formula] = []
        for name, wanted in schema["properties"].items():
            part = at_key(term, Known(name))
            holds = self.holds(part, wanted)
            found.append(builder.any((builder.negate(builder.atom(Defined(part))), holds)))
        return builder.all(found)

    def additional_properties(self, term: _Term, schema: _Schema) -> Formula:
        wanted = schema["additionalProperties"]
        if wanted is True or wanted == {}:
            return TRUE
        if wanted is not False or "patternProperties" in schema:
            return self._unsaid("additionalProperties")
        run, loop = self.run, self.run.new_loop()
        name = Element(term, loop, of_keys=True)
        other = run.builder.negate(run.is_one_of(name, schema.get("properties", ())))
        return run.builder.negate(run.exists(term, loop, other))

    # Of arrays --------------------------------------------------------------------------------------------

    def items(self, term: _Term, schema: _Schema) -> Formula:
        wanted = schema["items"]
        if isinstance(wanted, list):
            return self._unsaid("items")
        run, loop = self.run, self.run.new_loop()
        other = run.builder.negate(self.holds(Element(term, loop), wanted))
        return run.builder.negate(run.exists(term, loop, other))

    # Of texts and numbers ---------------------------------------------------------------------------------

    def pattern(self, term: _Term, schema: _Schema) -> Formula:
        return self.run.builder.atom(Test(Apply("regex.match", (Known(schema["pattern"]), term))))

    def format(self, term: _Term, schema: _Schema) -> Formula:
        if schema["format"] == "uuid":
            return self.run.builder.atom(Test(Apply("regex.match", (Known(f"^{UUID}$"), term))))
        return self._unsaid("format") if schema["format"] in FORMATS else TRUE

    def _ordered(self, term: _Term, name: str, limit: Any) -> Formula:
        return self.run.builder.atom(Test(Apply(name, (term, Known(limit)))))


def _counted(keyword: str, name: str) -> Callable[[_Matching, _Term, _Schema], Formula]:
    def made(matching: _Matching, term: _Term, schema: _Schema) -> Formula:
        return matching._ordered(Apply("count", (term,)), name, schema[keyword])

    return made


def _limit(keyword: str, name: str, strictly: str) -> Callable[[_Matching, _Term, _Schema], Formula]:
    """`minimum`, which draft 4 makes an exclusive one by a keyword beside it that is true."""
    beside = f"exclusive{keyword.capitalize()}"

    def made(matching: _Matching, term: _Term, schema: _Schema) -> Formula:
        return matching._ordered(term, strictly if schema.get(beside) is True else name, schema[keyword])

    return made


def _exclusive(keyword: str, name: str) -> Callable[[_Matching, _Term, _Schema], Formula]:
    def made(matching: _Matching, term: _Term, schema: _Schema) -> Formula:
        limit = schema[keyword]
        return TRUE if isinstance(limit, bool) else matching._ordered(term, name, limit)

    return made


_OF_ANY: dict[str, Callable[[_Matching, _Term, _Schema], Formula]] = {
    "type": _Matching.type_,
    "enum": _Matching.enum,
    "const": _Matching.const,
    "allOf": _Matching.all_of,
    "anyOf": _Matching.any_of,
    "oneOf": _Matching.one_of,
    "not": _Matching.not_,
    "if": _Matching.if_,
}
_KINDS: dict[str, dict[str, Callable[[_Matching, _Term, _Schema], Formula]]] = {
    "object": {
        "required": _Matching.required,
        "properties": _Matching.properties,
        "additionalProperties": _Matching.additional_properties,
        "minProperties": _counted("minProperties", "gte"),
        "maxProperties": _counted("maxProperties", "lte"),
    },
    "array": {
        "items": _Matching.items,
        "minItems": _counted("minItems", "gte"),
        "maxItems": _counted("maxItems", "lte"),
    },
    "string": {
        "format": _Matching.format,
        "pattern": _Matching.pattern,
        "minLength": _counted("minLength", "gte"),
        "maxLength": _counted("maxLength", "lte"),
    },
    "number": {
        "minimum": _limit("minimum", "gte", "gt"),
        "maximum": _limit("maximum", "lte", "lt"),
        "exclusiveMinimum": _exclusive("exclusiveMinimum", "gt"),
        "exclusiveMaximum": _exclusive("exclusiveMaximum", "lt"),
    },
}
_OF_KIND = {name: made for own in _KINDS.values() for name, made in own.items()}
_KIND_OF = {name: kind for kind, own in _KINDS.items() for name in own}

SPECIAL = {"json.match_schema": match}
