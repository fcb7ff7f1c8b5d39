"""Go's text/template, run on a value. What is missing or null shows as `<undefined>`, as OPA has it."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from decimal import Decimal
from urllib.parse import quote_plus

from palisade.rego.builtins.budget import check_deadline
from palisade.rego.builtins.gofmt import sprintf
from palisade.rego.builtins.gofmt_verbs import Argument
from palisade.rego.builtins.registry import Context
from palisade.rego.builtins.template_parsing import (
    Action,
    Branch,
    Command,
    Include,
    Jump,
    Literal,
    Nodes,
    Operand,
    Parser,
    Path,
    Pipeline,
    Text,
)
from palisade.rego.builtins.terms import quote, show_number
from palisade.rego.errors import BuiltinError
from palisade.rego.values import UNDEFINED, Value, compare, equal, sorted_keys, type_name

_MAX_DEPTH = 100
_MAX_SIZE = 16 << 20


class _JumpError(Exception):
    """A `break` or `continue` on its way to the loop that it belongs to."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


def render(ctx: Context, source: str, variables: Value) -> str:
    """The template's text with the variables in it. Raises BuiltinError."""
    parser = Parser(source)
    renderer = _Renderer(ctx, parser.run(), variables)
    renderer.templates = parser.templates
    return renderer.run()


def _error(what: str) -> BuiltinError:
    return BuiltinError(f"template: template: {what}")


class _Renderer:
    def __init__(self, ctx: Context, nodes: Nodes, root: Value) -> None:
        self._ctx = ctx
        self._nodes = nodes
        self._root = root
        self._scopes: list[dict[str, Value]] = [{"$": root}]
        self._out: list[str] = []
        self._size = 0
        self._depth = 0
        self.templates: dict[str, Nodes] = {}

    def run(self) -> str:
        try:
            self._all(self._nodes, self._root)
        except _JumpError as jump:
            raise _error(f"{{{{{jump.kind}}}}} outside {{{{range}}}}") from jump
        return "".join(self._out)

    def _all(self, nodes: Nodes, dot: Value) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Action):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self._write(_print(value))
            elif isinstance(node, Branch):
                self._branch(node, dot)
            elif isinstance(node, Jump):
                raise _JumpError(node.kind)
            else:
                self._include(node, dot)

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > _MAX_SIZE:
            raise _error(f"the result is longer than {_MAX_SIZE} characters")
        self._out.append(text)

    def _include(self, node: Include, dot: Value) -> None:
        nodes = self.templates.get(node.name)
        if nodes is None:
            raise _error(f'template "{node.name}" not defined')
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _error("exceeded maximum template depth")
        inner = self._pipeline(node.pipeline, dot) if node.pipeline else None
        scopes, self._scopes = self._scopes, [{"$": inner}]
        self._all(nodes, inner)
        self._scopes = scopes
        self._depth -= 1

    def _branch(self, node: Branch, dot: Value) -> None:
        self._scopes.append({})
        value = self._pipeline(node.pipeline, dot)
        if node.kind == "range":
            self._range(node, value, dot)
        elif _truth(value):
            self._all(node.body, value if node.kind == "with" else dot)
        else:
            self._all(node.otherwise, dot)
        self._scopes.pop()

    def _range(self, node: Branch, collection: Value, dot: Value) -> None:
        names = node.pipeline.variables
        depth = len(self._scopes)
        empty = True
        for key, value in _elements(collection):
            empty = False
            check_deadline(self._ctx, "timed out before the template was rendered")
            bound = (key, value) if len(names) == 2 else (value,)
            self._scopes.append(dict(zip(names, bound, strict=False)))
            try:
                self._all(node.body, value)
            except _JumpError as jump:
                if jump.kind == "break":
                    break
            finally:
                del self._scopes[depth:]
        if empty:
            self._all(node.otherwise, dot)

    def _pipeline(self, pipeline: Pipeline, dot: Value) -> Value:
        value = UNDEFINED
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        if pipeline.variables:
            self._assign(pipeline.variables[-1], value, pipeline.declares)
        return value

    def _assign(self, name: str, value: Value, declares: bool) -> None:
        if declares:
            self._scopes[-1][name] = value
            return
        for scope in reversed(self._scopes):
            if name in scope:
                scope[name] = value
                return
        raise _error(f'undefined variable "{name}"')

    def _command(self, command: Command, dot: Value, last: Value) -> Value:
        if not command.function:
            if last is not UNDEFINED:
                raise _error("can't give argument to non-function")
            return self._operand(command.operands[0], dot)
        if command.function in ("and", "or"):
            return self._short_circuit(command, dot, last)
        function = _FUNCTIONS.get(command.function)
        if function is None:
            raise _error(f'function "{command.function}" not defined')
        operands = [self._operand(operand, dot) for operand in command.operands]
        if last is not UNDEFINED:
            operands.append(last)
        try:
            return function(*operands)
        except TypeError as error:
            raise _error(f"error calling {command.function}: wrong number of args") from error

    def _short_circuit(self, command: Command, dot: Value, last: Value) -> Value:
        stop = command.function == "or"
        value: Value = UNDEFINED
        for operand in command.operands:
            value = self._operand(operand, dot)
            if _truth(value) is stop:
                return value
        value = last if last is not UNDEFINED else value
        if value is UNDEFINED:
            raise _error(f"wrong number of args for {command.function}: want at least 1 got 0")
        return value

    def _operand(self, operand: Operand, dot: Value) -> Value:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Pipeline):
            return self._pipeline(operand, dot)
        value = self._start(operand, dot)
        for name in operand.fields:
            if value is None:
                raise _error(f"nil data; no entry for key {quote(name)}")
            if type(value) is not dict:
                raise _error(f"can't evaluate field {name} in type {type_name(value)}")
            value = value.get(name)
        return value

    def _start(self, path: Path, dot: Value) -> Value:
        if isinstance(path.start, Pipeline):
            return self._pipeline(path.start, dot)
        if not path.start:
            return dot
        for scope in reversed(self._scopes):
            if path.start in scope:
                return scope[path.start]
        raise _error(f'undefined variable "{path.start}"')


def _elements(value: Value) -> Iterator[tuple[Value, Value]]:
    if type(value) is list:
        return iter(list(enumerate(value)))
    if type(value) is dict:
        return iter([(name, value[name]) for name in sorted_keys(value)])
    if type(value) is int:
        return ((at, at) for at in range(value))
    if value is None:
        return iter(())
    raise _error(f"range can't iterate over {_print(value)}")


def _truth(value: Value) -> bool:
    """Go's notion: false, zero, null and what is empty are not true."""
    return bool(value)


def _print(value: Value) -> str:
    """As Go's `fmt.Print` shows the value: `map[a:1]`, `[1 2]`."""
    if type(value) is str:
        return value
    if value is None:
        return "<undefined>"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        return f"[{' '.join(_inner(item) for item in value)}]"
    if type(value) is dict:
        return f"map[{' '.join(f'{_inner(name)}:{_inner(value[name])}' for name in sorted_keys(value))}]"
    return show_number(value)


def _inner(value: Value) -> str:
    return "<nil>" if value is None else _print(value)


def _printf(template: Value, *values: Value) -> str:
    if type(template) is not str:
        raise _error("error calling printf: the first argument must be a string")
    return sprintf(template, [_argument(value) for value in values])


def _argument(value: Value) -> Argument:
    if type(value) is Decimal:
        return float(value)
    return value if type(value) in (int, float, str) else _print(value)


def _sprint(*values: Value) -> str:
    """Go's `fmt.Sprint`: a blank between two operands of which neither is a string."""
    out: list[str] = []
    for at, value in enumerate(values):
        if at and type(value) is not str and type(values[at - 1]) is not str:
            out.append(" ")
        out.append(_print(value))
    return "".join(out)


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if type(value) is dict:
            value = value.get(key)
        elif type(value) in (list, str) and type(key) is int and 0 <= key < len(value):
            value = value[key] if type(value) is list else value.encode()[key]
        elif type(value) in (list, str):
            raise _error(f"error calling index: index out of range: {_print(key)}")
        else:
            raise _error(f"error calling index: can't index item of type {type_name(value)}")
    return value


def _slice(value: Value, *bounds: Value) -> Value:
    if type(value) not in (list, str) or len(bounds) > 3:
        raise _error(f"error calling slice: can't slice item of type {type_name(value)}")
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(value)
    if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(value):
        raise _error("error calling slice: index out of range")
    return value[start:end]


def _len(value: Value) -> int:
    if type(value) in (list, dict):
        return len(value)
    if type(value) is str:
        return len(value.encode("utf-8", "surrogateescape"))
    raise _error(f"error calling len: len of type {type_name(value)}")


def _eq(first: Value, *others: Value) -> bool:
    if not others:
        raise _error("error calling eq: missing argument for comparison")
    return any(equal(first, other) for other in others)


def _ordered(a: Value, b: Value) -> int:
    if type_name(a) != type_name(b) or type_name(a) not in ("number", "string"):
        raise _error("error calling a comparison: incompatible types for comparison")
    return compare(a, b)


def _js(*values: Value) -> str:
    marks = {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "<": "\\u003C",
        ">": "\\u003E",
        "&": "\\u0026",
        "=": "\\u003D",
    }
    return "".join(marks.get(c, c if c >= " " else f"\\u{ord(c):04X}") for c in _sprint(*values))


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "not": lambda value: not _truth(value),
    "len": _len,
    "index": _index,
    "slice": _slice,
    "print": _sprint,
    "println": lambda *values: " ".join(map(_print, values)) + "\n",
    "printf": _printf,
    "html": lambda *values: (
        html.escape(_sprint(*values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    ),
    "js": _js,
    "urlquery": lambda *values: quote_plus(_sprint(*values)),
    "eq": _eq,
    "ne": lambda a, b: not equal(a, b),
    "lt": lambda a, b: _ordered(a, b) < 0,
    "le": lambda a, b: _ordered(a, b) <= 0,
    "gt": lambda a, b: _ordered(a, b) > 0,
    "ge": lambda a, b: _ordered(a, b) >= 0,
}
