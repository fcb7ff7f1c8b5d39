"""The syntax tree: one class a construct of Rego v1, all of them immutable.

Terms denote values, statements stand in bodies, rules and imports make a module. `loc` says where a node
was written; it takes no part in equality, so that two trees are equal when they mean the same text.

The parser builds this tree. `check` turns it into a *checked* tree of the same classes, in which

* every global reference starts at `Var("data")` or `Var("input")`,
* every call names a builtin or a full `data...` path,
* every local variable has a name of its own within its rule (shadowing is resolved),
* `Some` declarations are gone, and
* statements stand in an order in which every variable is bound before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, fields
from decimal import Decimal
from typing import TypeAlias

from palisade.rego.errors import NOWHERE, Diagnostic, Location
from palisade.rego.lines import ROWS, Lines
from palisade.rego.records import record

ScalarValue: TypeAlias = bool | int | float | Decimal | str | None


@record(kw_only=True)
class Node:
    """Anything that stands in a source."""

    loc: Location = field(default=NOWHERE, compare=False, repr=False)

    def children(self) -> Iterator[Node]:
        """The nodes directly below this one, in source order."""
        kind = type(self)
        names = _FIELDS.get(kind)
        if names is None:
            names = _FIELDS[kind] = tuple(each.name for each in fields(self) if each.name != "loc")
        for name in names:
            yield from _nodes(getattr(self, name))


_FIELDS: dict[type[Node], tuple[str, ...]] = {}


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    stack: list[Node] = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(list(current.children())))


# Terms ------------------------------------------------------------------------------------------------


@record()
class Scalar(Node):
    """null, true, false, a number or a string. Numbers are exact: see `values`."""

    value: ScalarValue

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and True are equal in Python, and True is no number in Rego.
        return (
            isinstance(other, Scalar)
            and isinstance(self.value, bool) == isinstance(other.value, bool)
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((isinstance(self.value, bool), self.value))


@record()
class TemplateString(Node):
    """`$"..{x}.."`: text and terms in turn. An undefined term prints as `<undefined>`."""

    parts: tuple[str | Term, ...]
    raw: bool = field(default=False, compare=False)


@record()
class Var(Node):
    """A variable. The parser gives each `_` of a rule a name of its own, `$0`, `$1`: see `is_wildcard`."""

    name: str

    @property
    def is_wildcard(self) -> bool:
        return self.name.startswith("$")


@record()
class Ref(Node):
    """`head.a["b"][x]`: a walk from `head` (a variable, a call, a literal) along at least one `path` term."""

    head: Term
    path: tuple[Term, ...]


@record()
class Array(Node):
    items: tuple[Term, ...]


@record()
class Object(Node):
    items: tuple[tuple[Term, Term], ...]


@record()
class Set(Node):
    items: tuple[Term, ...]


@record()
class ArrayComprehension(Node):
    term: Term
    body: Body


@record()
class SetComprehension(Node):
    term: Term
    body: Body


@record()
class ObjectComprehension(Node):
    key: Term
    value: Term
    body: Body


@record()
class Holds(Node):
    """Whether a body holds, as `not { .. }` asks, and what stands around `and` and `or`: with them it is a
    term of a statement, and of nothing else. `term` is true, as in `[true | ..]`."""

    term: Term
    body: Body


@record()
class Call(Node):
    """`name(args)`. Infix operators are calls of the builtins that OPA names for them (`plus`, `lt`, ...).

    `operator` is a `Var` (`count`) or a `Ref` of strings (`io.jwt.decode`, `data.lib.f`); `name` joins it
    with dots.
    """

    operator: Var | Ref
    args: tuple[Term, ...]

    @property
    def name(self) -> str:
        return dotted(self.operator)


Term: TypeAlias = (
    Scalar
    | TemplateString
    | Var
    | Ref
    | Array
    | Object
    | Set
    | ArrayComprehension
    | SetComprehension
    | ObjectComprehension
    | Holds
    | Call
)


def dotted(operator: Term) -> str:
    """`a.b.c` for a variable or a reference of strings; a part that is no plain string shows as `[...]`."""
    if isinstance(operator, Var):
        return operator.name
    if isinstance(operator, Ref):
        parts = [dotted(operator.head)]
        for part in operator.path:
            parts.append(str(part.value) if isinstance(part, Scalar) else "[...]")
        return ".".join(parts)
    return "[...]"


# Statements --------------------------------------------------------------------------------------------


@record()
class With(Node):
    """`with target as value`: target is `input...`, `data...`, or the name of a function."""

    target: Var | Ref
    value: Term


@record(kw_only=True)
class Statement(Node):
    """One line of a body. `negated` and `withs` go with any kind.

    `whole` says of a negated one that all it is made of stands inside of the negation, as with `import
    future.keywords.not`: where `input.x` is undefined, `not f(input.x)` holds then.
    """

    negated: bool = False
    whole: bool = False
    withs: tuple[With, ...] = ()


@record()
class Expression(Statement):
    """A term that must be defined and not false: `allowed`, `x > 3`, `f(x)`."""

    term: Term


@record()
class Unify(Statement):
    """`left = right`."""

    left: Term
    right: Term


@record()
class Assign(Statement):
    """`left := right`: declares the variables of `left` in this body."""

    left: Term
    right: Term


@record()
class Some(Statement):
    """`some x, y`: declares variables of this body."""

    names: tuple[Var, ...]


@record()
class SomeIn(Statement):
    """`some v in xs` and `some k, v in xs`; key and value may be any term, their variables are declared."""

    key: Term | None
    value: Term
    collection: Term


@record()
class Every(Statement):
    """`every v in xs { body }`, `every k, v in xs { body }`."""

    key: Var | None
    value: Var
    domain: Term
    body: Body


@record()
class Logical(Statement):
    """`left and right`, `left or right`; a body in braces is one of `Holds`. None is in checked form."""

    operator: str
    left: Statement
    right: Statement


Body: TypeAlias = tuple[Statement, ...]


# Rules, imports, modules --------------------------------------------------------------------------------


@record()
class Head(Node):
    """What a rule defines.

    `p := v`, `f(x) := v`: `value` (the scalar `true` where none is written). `p contains k`: `key`.
    `p.q[x].r := v`: `path` holds the terms after the first name; a v0 `p[k]` is `key`, `p[k] = v` is `path`.
    """

    name: Var
    path: tuple[Term, ...] = ()
    args: tuple[Term, ...] | None = None
    key: Term | None = None
    value: Term = Scalar(True)
    assign: bool = False

    @property
    def is_set(self) -> bool:
        return self.key is not None


@record()
class Else(Node):
    """`else := value { body }`; `body` is empty where none is written."""

    value: Term
    body: Body


@record()
class Rule(Node):
    """`body` is empty for a rule without one, which then always holds; `default` has none."""

    head: Head
    body: Body = ()
    orelse: tuple[Else, ...] = ()
    default: bool = False


@record()
class Import(Node):
    """`import path as alias`; `path` starts at data, input, rego or future."""

    path: Ref | Var
    alias: Var | None = None

    @property
    def name(self) -> str:
        """The name it is used by: the alias, or the last part of the path."""
        if self.alias is not None:
            return self.alias.name
        if isinstance(self.path, Var):
            return self.path.name
        last = self.path.path[-1]
        return str(last.value) if isinstance(last, Scalar) else ""


@record()
class Annotation(Node):
    """A `# METADATA` block: its YAML as a value, its scope, and where what it annotates starts."""

    scope: str
    value: object
    target: Location


@record()
class Comment(Node):
    """`text` without the number sign."""

    text: str


@record()
class Module(Node):
    """One file. `package` is the path below `data`, as strings.

    Places in it name lines by the numbers of `lines`: after an edit these need not be the rows of now.
    """

    package: tuple[str, ...]
    imports: tuple[Import, ...] = ()
    rules: tuple[Rule, ...] = ()
    annotations: tuple[Annotation, ...] = field(default=(), compare=False)
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    source: str = field(default="", compare=False, repr=False)
    version: int = field(default=1, compare=False)
    lines: Lines = field(default=ROWS, compare=False, repr=False)
    faults: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    """What is wrong with METADATA blocks that were left out: an error where a rule asks for annotations."""


Modules: TypeAlias = Sequence[Module]
