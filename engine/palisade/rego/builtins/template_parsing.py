"""Go's text/template, taken apart: https://pkg.go.dev/text/template

A template is text with actions in `{{` and `}}`. Here it becomes nodes; `template_rendering` runs them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value, number


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Path:
    """Fields below a start: the dot (no start), a variable (`$x`), or a pipeline in parentheses."""

    start: str | Pipeline
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A function with its operands, or with an empty name a single operand."""

    function: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Each command's result is the last operand of the next; `variables` get the last one."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`."""

    kind: str
    pipeline: Pipeline
    body: Nodes
    otherwise: Nodes


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Include:
    """`template`: another template with another dot."""

    name: str
    pipeline: Pipeline | None


Operand: TypeAlias = Literal | Path | Pipeline
Node: TypeAlias = Text | Action | Branch | Jump | Include
Nodes: TypeAlias = tuple[Node, ...]

_TOKEN = re.compile(
    r"""\s+|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<char>'(?:[^'\\]|\\.)+')"""
    r"""|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\.?[0-9][0-9_]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?))"""
    r"""|(?P<field>\.[^\W\d]\w*)|(?P<variable>\$\w*)|(?P<name>[^\W\d]\w*)|(?P<mark>:=|[()|,=.])"""
)
_TRIM_RIGHT, _TRIM_LEFT = re.compile(r"[ \t\r\n]+$"), re.compile(r"^[ \t\r\n]+")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    spaced: bool
    """Whether white space stands before it: `.a .b` are two operands, `.a.b` is one."""


class Parser:
    """One template and those that it defines. `run` once, then `templates` holds them all by name."""

    def __init__(self, source: str) -> None:
        self._pieces = _split(source)
        self._at = 0
        self.templates: dict[str, Nodes] = {}

    def run(self) -> Nodes:
        """The template's nodes. Raises BuiltinError."""
        nodes, (end, _) = self._list()
        if end:
            raise _error(f"unexpected {{{{{end}}}}}")
        return nodes

    def _list(self) -> tuple[Nodes, tuple[str, str]]:
        """Nodes up to an `end` or `else`, and that action in two parts: both empty at the template's end."""
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            text, is_action = self._pieces[self._at]
            self._at += 1
            if not is_action:
                nodes.append(Text(text))
                continue
            word, _, rest = text.strip().partition(" ")
            if word in ("end", "else"):
                return tuple(nodes), (word, rest.strip())
            node = self._action(word, rest.strip(), text)
            if node is not None:
                nodes.append(node)
        return tuple(nodes), ("", "")

    def _action(self, word: str, rest: str, text: str) -> Node | None:
        if word in ("if", "with", "range"):
            return self._branch(word, rest)
        if word in ("break", "continue") and not rest:
            return Jump(word)
        if word in ("define", "block"):
            name, after = _quoted(rest)
            self.templates[name] = self._body(word)
            return Include(name, _pipeline(after)) if word == "block" else None
        if word == "template":
            name, after = _quoted(rest)
            return Include(name, _pipeline(after) if after else None)
        return Action(_pipeline(text))

    def _body(self, word: str) -> Nodes:
        body, (end, _) = self._list()
        if end != "end":
            raise _error(f"unexpected EOF: {{{{{word}}}}} has no {{{{end}}}}")
        return body

    def _branch(self, kind: str, condition: str) -> Branch:
        pipeline = _pipeline(condition)
        body, (end, rest) = self._list()
        if end == "end":
            return Branch(kind, pipeline, body, ())
        if end == "else" and not rest:
            return Branch(kind, pipeline, body, self._body(kind))
        word, _, following = rest.partition(" ")
        if end == "else" and word == kind and kind != "range":
            return Branch(kind, pipeline, body, (self._branch(kind, following.strip()),))
        raise _error(f"unexpected EOF: {{{{{kind}}}}} has no {{{{end}}}}")


def _error(what: str) -> BuiltinError:
    return BuiltinError(f"template: template: {what}")


def _split(source: str) -> list[tuple[str, bool]]:
    """The pieces in turn, and whether each is an action. Comments are gone, and what `-` trims."""
    pieces: list[tuple[str, bool]] = []
    at, trim = 0, False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        text = _TRIM_LEFT.sub("", text) if trim else text
        if start < 0:
            pieces.append((text, False))
            return [piece for piece in pieces if piece[0] or piece[1]]
        trims_before = source.startswith("- ", start + 2) or source.startswith("-\n", start + 2)
        pieces.append((_TRIM_RIGHT.sub("", text) if trims_before else text, False))
        begin = start + (3 if trims_before else 2)
        end = _end_of_action(source, begin)
        inside = source[begin:end]
        trim = inside.endswith((" -", "\n-", "\t-"))
        inside = inside[:-1] if trim else inside
        if not inside.strip().startswith("/*"):
            pieces.append((inside, True))
        at = end + 2


def _end_of_action(source: str, begin: int) -> int:
    comment = re.compile(r"\s*/\*.*?\*/\s*-?", re.DOTALL).match(source, begin)
    at = comment.end() if comment else begin
    quoted = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`')
    while at < len(source):
        if source.startswith("}}", at):
            return at
        match = quoted.match(source, at)
        at = match.end() if match else at + 1
    raise _error("unclosed action")


def _quoted(text: str) -> tuple[str, str]:
    match = re.match(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`', text)
    if match is None:
        raise _error(f"unexpected {text!r}: a template's name stands in quotes")
    return match.group(1) or match.group(2) or "", text[match.end() :].strip()


def _pipeline(text: str) -> Pipeline:
    return _PipelineParser(text).run()


class _PipelineParser:
    def __init__(self, text: str) -> None:
        self._tokens: list[_Token] = []
        self._index = 0
        at, spaced = 0, True
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _error(f"unexpected {text[at]!r} in {text.strip()!r}")
            if match.lastgroup is None:
                spaced = True
            else:
                self._tokens.append(_Token(match.lastgroup, match.group(), spaced))
                spaced = False
            at = match.end()

    def run(self) -> Pipeline:
        pipeline = self._pipeline()
        if self._peek() is not None:
            raise _error(f"unexpected {self._tokens[self._index].text!r} in operand")
        return pipeline

    def _peek(self, ahead: int = 0) -> _Token | None:
        at = self._index + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _is(self, text: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind == "mark" and token.text == text

    def _pipeline(self) -> Pipeline:
        variables, declares = self._declaration()
        commands = [self._command()]
        while self._is("|"):
            self._index += 1
            commands.append(self._command())
        return Pipeline(tuple(commands), variables, declares)

    def _declaration(self) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        ahead = 0
        while (token := self._peek(ahead)) is not None and token.kind == "variable":
            names.append(token.text)
            if self._is(":=", ahead + 1) or self._is("=", ahead + 1):
                declares = self._is(":=", ahead + 1)
                self._index += ahead + 2
                return tuple(names), declares
            if not self._is(",", ahead + 1) or len(names) == 2:
                break
            ahead += 2
        return (), False

    def _command(self) -> Command:
        token = self._peek()
        function = ""
        if token is not None and token.kind == "name" and token.text not in ("true", "false", "nil"):
            function = token.text
            self._index += 1
        operands: list[Operand] = []
        while (token := self._peek()) is not None and not self._is("|") and not self._is(")"):
            operands.append(self._operand(token))
        if not function and len(operands) != 1:
            raise _error(
                "missing value for command" if not operands else "can't give argument to non-function"
            )
        return Command(function, tuple(operands))

    def _operand(self, token: _Token) -> Operand:
        self._index += 1
        if token.kind == "string":
            return Literal(token.text[1:-1] if token.text[0] == "`" else _unquote(token.text))
        if token.kind == "char":
            return Literal(ord(_unquote(f'"{token.text[1:-1]}"')))
        if token.kind == "number":
            return Literal(_number(token.text))
        if token.kind == "name" and token.text in ("true", "false", "nil"):
            return Literal({"true": True, "false": False, "nil": None}[token.text])
        if token.kind == "name":  # a function as an operand is called without operands
            return Pipeline((Command(token.text, ()),))
        if token.kind == "variable":
            return Path(token.text, self._fields())
        if token.kind == "field":
            return Path("", (token.text[1:], *self._fields()))
        if token.text == ".":
            return Path("", ())
        if token.text != "(":
            raise _error(f"unexpected {token.text!r} in operand")
        inner = self._pipeline()
        if not self._is(")"):
            raise _error("unclosed left paren")
        self._index += 1
        return Path(inner, self._fields())

    def _fields(self) -> tuple[str, ...]:
        names: list[str] = []
        while (token := self._peek()) is not None and token.kind == "field" and not token.spaced:
            names.append(token.text[1:])
            self._index += 1
        return tuple(names)


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unquote(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        short, long, byte, octal, char = match.groups()
        if char is not None:
            return _SIMPLE.get(char, char)
        return chr(int(octal, 8) if octal else int(short or long or byte, 16))

    return _ESCAPE.sub(plain, text[1:-1])


def _number(text: str) -> Value:
    digits = text.replace("_", "").lstrip("+")
    try:
        return int(digits, 16) if digits.lower().lstrip("-").startswith("0x") else number(digits)
    except ValueError as error:
        raise _error(f"bad number syntax: {text!r}") from error
