"""What is known of a builtin's answer when an operand is not: membership, comparison, lookups with defaults.

Each function here gets the operands and answers with the cases that it can tell apart, or None to leave the
call as a term of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from palisade.rego.builtins import BUILTINS
from palisade.rego.errors import NOWHERE
from palisade.rego.partial.formulas.formula import FALSE, IS_KIND, TRUE, Defined, Formula, IsKind, Test
from palisade.rego.partial.formulas.placing import at_key
from palisade.rego.partial.formulas.terms import (
    Apply,
    ArrayOf,
    Element,
    Gathered,
    Input,
    Known,
    ObjectOf,
    Part,
    SetOf,
    Symbol,
    below,
)
from palisade.rego.partial.symbols import (
    arrays,
    dates,
    filled,
    graphs,
    matching,
    schemas,
    scores,
    searched,
    shaped,
    tabled,
)
from palisade.rego.partial.symbols.construct import lookup
from palisade.rego.partial.symbols.kinds import is_text, kind_of
from palisade.rego.partial.symbols.named import AS_PATH
from palisade.rego.partial.symbols.objects import mapped_of
from palisade.rego.partial.symbols.sets import (
    KNOWN_FALSE,
    KNOWN_TRUE,
    Cases,
    difference,
    intersection,
    intersection_of,
    key_member,
    member,
    truth,
    union,
    union_of,
)
from palisade.rego.values import UNDEFINED, Set, Value, key, unkey

if TYPE_CHECKING:
    from palisade.rego.partial.symbols.members import Members

PREDICATES = frozenset(
    (
        *("all", "any", "base64.is_valid", "contains", "crypto.hmac.equal", "endswith", "glob.match"),
        *("graphql.is_valid", "gt", "gte", "is_array", "is_boolean", "is_null", "is_number", "is_object"),
        *("is_set", "is_string", "json.is_valid", "lt", "lte", "net.cidr_contains", "net.cidr_intersects"),
        *("net.cidr_is_valid", "object.subset", "re_match", "regex.globs_match", "regex.is_valid"),
        *("regex.match", "regex.template_match", "semver.is_valid", "startswith", "yaml.is_valid"),
        *("strings.any_prefix_match", "strings.any_suffix_match", "io.jwt.verify_eddsa"),
        *(f"io.jwt.verify_{kind}{size}" for kind in ("hs", "rs", "es", "ps") for size in (256, 384, 512)),
    )
)
"""Builtins whose answer is a boolean."""

TOTAL = frozenset(("lt", "lte", "gt", "gte", "type_name"))
"""Builtins that take operands of any type, so that a call of them is always defined."""


def equal(run: Members, args: Sequence[Symbol]) -> Cases:
    return truth(run, run.equal(args[0], args[1]))


def not_equal(run: Members, args: Sequence[Symbol]) -> Cases:
    return truth(run, run.builder.negate(run.equal(args[0], args[1])))


_FROM_JSON = frozenset(("io.jwt.decode", "io.jwt.decode_verify", "json.unmarshal"))


def object_get(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`object.get(obj, key, default)`: a constant key, or a constant array of them, or constants at a key
    of the request."""
    source, path, default = args
    named = run.named(source)
    if named is not None:
        return named.get(path, default)
    by_member = tabled.entries_by_member(source)
    if by_member is not None:
        return tabled.get(run, by_member, path, default)
    if isinstance(source, Known) and isinstance(path, (Input, Element, Apply)):
        return _table_get(run, source.value, path, default)
    if isinstance(source, Known) and isinstance(path, ArrayOf):
        return _table_at(run, source.value, path.items, default)
    if isinstance(source, Input) and isinstance(path, (Input, Element, Apply)):
        return _get_at(run, source, path, default)
    if not isinstance(path, Known):
        return None
    entries = mapped_of(source)
    if entries is not None and not isinstance(path.value, list):
        return _mapped_get(run, entries, path, default)
    if isinstance(source, Known):
        return _constant_get(source.value, path, default)
    steps = path.value if isinstance(path.value, list) else [path.value]
    found = _stored(source, steps) if steps else None
    if found is None:
        return None
    if isinstance(source, (Input, Element, Apply)) and not isinstance(steps[0], str):
        # Objects of JSON have no such keys. Arrays do, and are refused.
        if not _of_json(source):
            return None
        found = UNDEFINED
    builder = run.builder
    there, value = (FALSE, default) if found is UNDEFINED else (TRUE, found)
    if isinstance(value, (Input, Element, Apply)) and found is not UNDEFINED:
        there = builder.atom(Defined(value))
    cases = [] if there is FALSE else [(there, value)]
    if isinstance(source, ObjectOf):
        return cases if there is TRUE else [*cases, (builder.negate(there), default)]
    if isinstance(source, (Input, Element, Apply)):
        # OPA refuses a source that is no object, and the call is then undefined, not the default.
        an_object = run.is_kind(source, "object")
        if not _of_json(source):
            cases = [(builder.both(an_object, condition), each) for condition, each in cases]
        return [*cases, (builder.both(an_object, builder.negate(there)), default)]
    return None


def _constant_get(whole: Value, path: Known, default: Symbol) -> Cases:
    """Constants at a constant key or path, where the default is the request's."""
    if not isinstance(whole, dict):
        return []
    found = BUILTINS["object.get"].function(whole, path.value, UNDEFINED)
    return [(TRUE, default if found is UNDEFINED else Known(found))]


def _mapped_get(run: Members, entries: Part, name: Known, default: Symbol) -> Cases | None:
    """What stands at a constant key in an object that is made of one of the request, or the default."""

    def found_in(source: Symbol, at: Known) -> Cases:
        value = at_key(source, at)  # type: ignore[arg-type]  # what is looped over is a term
        return [(run.builder.atom(Defined(value)), value)]

    found = run.mapped(entries, name, found_in)
    if found is None:
        return None
    return [*found, (run.builder.negate(run.builder.any(there for there, _ in found)), default)]


def _get_at(run: Members, source: Input, name: Input | Element | Apply, default: Symbol) -> Cases:
    """What stands in a part of the request at a key that it brings too. What a key that is an array leads to,
    as a path, only the evaluator says."""
    builder = run.builder
    value = below(source, name)
    there, an_object = builder.atom(Defined(value)), run.is_kind(source, "object")
    an_array = FALSE if is_text(name) else builder.atom(IsKind(name, "array"))
    plain = builder.both(builder.atom(Defined(name)), builder.negate(an_array))
    here = builder.both(an_object, plain)
    return [
        (builder.both(here, there), value),
        (builder.both(here, builder.negate(there)), default),
        (
            builder.both(builder.both(an_object, an_array), run.opaque(AS_PATH, NOWHERE)),
            run.unknown(AS_PATH, NOWHERE),
        ),
    ]


def _of_json(source: Symbol) -> bool:
    """Whether it is a part of a JSON document: no set, and an object only with keys that are strings."""
    if isinstance(source, Element):
        return _of_json(source.source)
    if isinstance(source, Apply) and source.name in (".", "object.get"):
        return _of_json(source.args[0])
    return isinstance(source, Input) or (isinstance(source, Apply) and source.name in _FROM_JSON)


def _stored(source: Symbol, steps: Sequence[Value]) -> Symbol | Any:
    """What stands at a path in an object; UNDEFINED where nothing can, None where that is not followed."""
    for at, step in enumerate(steps):
        if isinstance(source, (Input, Element)):
            source = below(source, key(step))
        elif isinstance(source, Apply):
            source = Apply(".", (source, Known(step)))
        elif isinstance(source, ObjectOf):
            value = source.get(key(step))
            if value is None:
                return UNDEFINED
            source = value
        elif isinstance(source, Known) and at:
            found = lookup(source.value, step)
            if found is UNDEFINED:
                return UNDEFINED
            source = Known(found)
        else:
            return None
    return source


def _table_get(run: Members, table: Value, name: Input | Element | Apply, default: Symbol) -> Cases | None:
    """A table of constants at a key that the request brings. What a key that is an array leads to, as a path,
    only the evaluator says."""
    if not isinstance(table, dict):
        return []
    builder = run.builder
    groups: dict[object, list[Value]] = {}
    for form, value in table.items():
        name_here = unkey(form)
        if not isinstance(name_here, list):
            groups.setdefault(key(value), []).append(name_here)
    found = [(run.is_one_of(name, names), Known(unkey(form))) for form, names in groups.items()]
    if is_text(name):
        missing = builder.negate(builder.any(each for each, _ in found))
        return [*found, (builder.both(builder.atom(Defined(name)), missing), default)]
    as_path = builder.both(builder.atom(IsKind(name, "array")), run.opaque(AS_PATH, NOWHERE))
    plain = builder.negate(builder.any((builder.atom(IsKind(name, "array")), *(each for each, _ in found))))
    other = (builder.both(builder.atom(Defined(name)), plain), default)
    return [*found, other, (as_path, run.unknown(AS_PATH, NOWHERE))]


def _table_at(run: Members, table: Value, path: Sequence[Symbol], default: Symbol) -> Cases | None:
    """A table of constants at a path of which some keys are the request's."""
    if not isinstance(table, dict):
        return []
    builder = run.builder
    found: list[tuple[Formula, Value]] = [(TRUE, table)]
    for step in path:
        if isinstance(step, Gathered):
            return None
        groups: dict[object, list[Formula]] = {}
        for condition, inside in found:
            for form, names in _by_value(inside).items():
                here = builder.both(condition, run.is_one_of(step, names))
                groups.setdefault(form, []).append(here)
        found = [(builder.any(conditions), unkey(form)) for form, conditions in groups.items()]
    there = builder.all(
        builder.atom(Defined(each)) for each in path if isinstance(each, Input | Element | Apply)
    )
    missing = builder.negate(builder.any(condition for condition, _ in found))
    return [
        *((condition, Known(value)) for condition, value in found),
        (builder.both(there, missing), default),
    ]


def _by_value(collection: Value) -> dict[object, list[Value]]:
    """What stands in a collection, as key forms, with the keys that lead to each."""
    pairs: Iterable[tuple[Value, Value]] = ()
    if isinstance(collection, dict):
        pairs = ((unkey(form), item) for form, item in collection.items())
    elif isinstance(collection, list):
        pairs = enumerate(collection)
    elif isinstance(collection, Set):
        pairs = ((item, item) for item in collection)
    found: dict[object, list[Value]] = {}
    for name, item in pairs:
        found.setdefault(key(item), []).append(name)
    return found


def _lower(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`lower(name)` of a key that is in lower case as it is."""
    match args:
        case (Element(Input(path), _, True, ()) as name,) if path in run.folded:
            return [(run.builder.atom(Defined(name)), name)]
    return None


def _trace(_: Members, args: Sequence[Symbol]) -> Cases | None:
    """`trace(note)`, which leaves a note and holds."""
    return [(TRUE, KNOWN_TRUE)] if is_text(args[0]) else None


def _ordered(name: str) -> Callable[[Members, Sequence[Symbol]], Cases | None]:
    """`xs < y` and the like; of counts whether anything was counted: `count(xs) > 0`, `1 <= count(xs)`."""
    otherwise = arrays.of_order(name)

    def made(run: Members, args: Sequence[Symbol]) -> Cases | None:
        left, right = args
        found = _counts(run, left, name, right) or _counts(run, right, arrays.MIRRORED[name], left)
        return found or otherwise(run, args)

    return made


def _counts(run: Members, counted: Symbol, name: str, limit: Symbol) -> Cases | None:
    match counted:
        case Apply("count", (Gathered() as collection,)):
            some = _ANY.get((name, limit))
            if some is not None:
                found = run.nonempty(collection)
                return truth(run, found if some else run.builder.negate(found))
    return None


_ANY: dict[tuple[str, Symbol], bool] = {
    ("gt", Known(0)): True,
    ("gte", Known(1)): True,
    ("lt", Known(1)): False,
    ("lte", Known(0)): False,
}
"""Whether there is any, in the ways in which a count says so."""


def _minus(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`xs - ys` of sets, and of what is counted."""
    found = difference(run, args)
    return scores.made("minus")(run, args) if found is None else found


MAX_CASES = 16


def template(run: Members, args: Sequence[Symbol]) -> Cases | None:
    """`$"/users/{x}"`: each expression is the set of its values, of which there is one or none."""
    parts = args[0]
    if not isinstance(parts, ArrayOf):
        return None
    builder = run.builder
    cases: list[tuple[Formula, tuple[Symbol, ...]]] = [(TRUE, ())]
    for part in parts.items:
        choices: list[tuple[Formula, Symbol]] = [(TRUE, part)]
        if isinstance(part, Gathered):
            if len(part.parts) != 1 or part.parts[0].over:
                return None
            there, item = part.parts[0].condition, part.parts[0].item
            shown = Known(Set((item.form,))) if isinstance(item, Known) else SetOf((item,))
            choices = [(there, shown), (builder.negate(there), Known("<undefined>"))]
        cases = [(builder.both(c, d), (*done, choice)) for c, done in cases for d, choice in choices]
        if len(cases) > MAX_CASES:
            return None
    return [(condition, _text(done)) for condition, done in cases if condition is not FALSE]


def _text(parts: tuple[Symbol, ...]) -> Symbol:
    known = [part.value for part in parts if isinstance(part, Known)]
    if len(known) < len(parts):
        return Apply("internal.template_string", (ArrayOf(parts),))
    return Known(BUILTINS["internal.template_string"].function(known))


def predicate(run: Members, name: str, args: Sequence[Symbol]) -> Cases:
    """A builtin that answers with a boolean: true, false, or undefined for operands it does not take."""
    builder = run.builder
    kind = kind_of(args[0]) if name in IS_KIND else ""
    if kind:
        return [(TRUE, Known(name == f"is_{kind}"))]
    term = Apply(name, tuple(args))
    holds = builder.atom(Test(term))
    defined = TRUE if name in TOTAL else builder.atom(Defined(term))
    return [(holds, KNOWN_TRUE), (builder.both(defined, builder.negate(holds)), KNOWN_FALSE)]


SPECIAL: dict[str, Callable[[Members, Sequence[Symbol]], Cases | None]] = {
    "equal": equal,
    "eq": equal,
    "neq": not_equal,
    "internal.member_2": member,
    "internal.member_3": key_member,
    "object.get": object_get,
    "internal.template_string": template,
    "and": intersection,
    "or": union,
    "union": union_of,
    "intersection": intersection_of,
    "minus": _minus,
    "plus": scores.made("plus"),
    "mul": scores.made("mul"),
    "sum": scores.made("sum"),
    **{name: _ordered(name) for name in ("gt", "gte", "lt", "lte")},
    "lower": _lower,
    "trace": _trace,
    "graph.reachable": graphs.reachable,
    "replace": filled.replaced,
    "strings.replace_n": filled.replaced_at_once,
    **arrays.SPECIAL,
    **dates.SPECIAL,
    **matching.SPECIAL,
    **searched.SPECIAL,
    **schemas.SPECIAL,
    **shaped.SPECIAL,
}

__all__ = ["FALSE", "PREDICATES", "SPECIAL", "TOTAL", "Cases", "predicate", "truth"]
