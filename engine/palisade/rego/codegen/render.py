"""The tree as Python text.

A label that is still jumped to becomes a loop that runs once; a jump over several loops sets a flag that
each of them looks at. Python allows some twenty nested loops and a hundred indentations: what lies deeper
moves into a function of its own, which takes the locals and gives them back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from palisade.rego.codegen.tree import Block, Cond, Jump, Label, Line, Loop, Node, Return, ends, jumps

_LOOPS = 16
_INDENTS = 60
_LOCAL = re.compile(r"(?<![\w.])(?:[lsk]\d+|k[rf])\b")
ONCE = "while True:"


def render(name: str, nodes: list[Node], params: list[str], head: list[str]) -> str:
    """The text of the function `name`, and behind it those that it spills into."""
    writer = _Writer(name, frozenset(params))
    lines: list[str] = []
    writer.write(nodes, 1, (), lines)
    start = [f"def {name}({', '.join(params)}):", *(f" {line}" for line in head)]
    unset = sorted(writer.shared - frozenset(params))
    if unset:
        start.append(f" {' = '.join(unset)} = U")
    return "\n".join((*start, *lines, "", *writer.spilled))


@dataclass(slots=True)
class _Writer:
    name: str
    params: frozenset[str]
    exits: dict[Label, int] = field(default_factory=dict)
    """In a spilled function: the labels outside of it, by the code that it returns for a jump to them."""
    names: tuple[str, ...] = ()
    """In a spilled function: what it takes and gives back."""
    spilled: list[str] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    flags: dict[Label, str] = field(default_factory=dict)
    rounds: set[Label] = field(default_factory=set)
    """The labels of `for` loops: a jump there is `continue`."""

    def write(self, nodes: list[Node], depth: int, loops: tuple[Label, ...], out: list[str]) -> None:
        """`loops` are the labels of the Python loops around, the innermost last."""
        pad = " " * depth
        before = len(out)
        for node in nodes:
            match node:
                case Line(text):
                    out.extend(pad + line for line in text.split("\n"))
                case Return(lines):
                    self._return(lines, pad, out)
                case Jump(label):
                    self._jump(label, pad, loops, out)
                case Cond():
                    self._cond(node, depth, loops, out)
                case Block(label, body):
                    self._loop(node, label, ONCE, body, depth, loops, out)
                case Loop(label, header, body):
                    self.rounds.add(label)
                    self._loop(node, label, header, body, depth, loops, out)
        if len(out) == before:  # nothing, or conditions on which nothing depends
            out.append(f"{pad}pass")

    def _cond(self, node: Cond, depth: int, loops: tuple[Label, ...], out: list[str]) -> None:
        pad = " " * depth
        if depth > _INDENTS:
            self._spill(node, pad, loops, out)
        elif node.then:
            out.append(f"{pad}if {node.test}:")
            self.write(node.then, depth + 1, loops, out)
            if node.orelse:
                # Behind a branch that leaves, the other one needs no `else`.
                if not ends(node.then):
                    out.append(f"{pad}else:")
                    depth += 1
                self.write(node.orelse, depth, loops, out)
        elif node.orelse:
            out.append(f"{pad}if not ({node.test}):")
            self.write(node.orelse, depth + 1, loops, out)

    def _loop(
        self,
        node: Node,
        label: Label,
        header: str,
        body: list[Node],
        depth: int,
        loops: tuple[Label, ...],
        out: list[str],
    ) -> None:
        pad = " " * depth
        if len(loops) >= _LOOPS or depth > _INDENTS:
            self._spill(node, pad, loops, out)
            return
        out.append(pad + header)
        if _crossed(body, label):
            self.flags[label] = f"j{len(self.flags)}"
            out.append(f"{pad} {self.flags[label]} = False")
        self.write(body, depth + 1, (*loops, label), out)
        if header == ONCE and not ends(body):
            out.append(f"{pad} break")
        for outer in _outer([node]):
            if outer not in self.exits:
                out.append(f"{pad}if {self.flags[outer]}:")
                # The flag stays up: each loop on the way sees it, and its owner lowers it.
                out.append(f"{pad} {self._leave(outer) if loops[-1] is outer else 'break'}")

    def _jump(self, label: Label, pad: str, loops: tuple[Label, ...], out: list[str]) -> None:
        if label in self.exits:
            out.append(f"{pad}return {self.exits[label]}, None, ({', '.join(self.names)},)")
        elif loops[-1] is label:
            out.append(pad + self._leave(label))
        else:
            out += (f"{pad}{self.flags[label]} = True", f"{pad}break")

    def _leave(self, label: Label) -> str:
        return "continue" if label in self.rounds else "break"

    def _return(self, lines: tuple[str, ...], pad: str, out: list[str]) -> None:
        *before, last = lines
        out.extend(pad + line for line in before)
        if self.names:
            out.append(f"{pad}return -1, {last.removeprefix('return ')}, ({', '.join(self.names)},)")
        else:
            out.append(pad + last)

    def _spill(self, node: Node, pad: str, loops: tuple[Label, ...], out: list[str]) -> None:
        exits = {label: code for code, label in enumerate(_outer([node]), 1)}
        names = tuple(sorted({"m", *_locals([node]), *(n for n in self.params if n == "rs")}))
        inner = _Writer(f"{self.name}_{len(self.spilled)}", frozenset(), exits, names)
        lines: list[str] = []
        inner.write([node], 1, (), lines)
        shared = f"({', '.join(names)},)"
        self.shared.update(names, inner.shared)
        self.spilled += inner.spilled
        unset = sorted(inner.shared - set(names))
        self.spilled.append(
            "\n".join(
                (
                    f"def {inner.name}({', '.join(names)}):",
                    *([f" {' = '.join(unset)} = U"] if unset else []),
                    *lines,
                    f" return 0, None, {shared}",
                    "",
                )
            )
        )
        out.append(f"{pad}code, value, {shared} = {inner.name}{shared}")
        out += (f"{pad}if code < 0:",)
        self._return(("return value",), f"{pad} ", out)
        for label, code in exits.items():
            out.append(f"{pad}if code == {code}:")
            self._jump(label, f"{pad} ", loops, out)


def _outer(nodes: list[Node]) -> list[Label]:
    """The labels outside of the nodes that they jump to."""
    own = set(_labels(nodes))
    return list(dict.fromkeys(jump.label for jump in jumps(nodes) if jump.label not in own))


def _labels(nodes: list[Node]) -> Iterator[Label]:
    for node in nodes:
        match node:
            case Cond(_, then, orelse):
                yield from _labels(then)
                yield from _labels(orelse)
            case Block(label, body) | Loop(label, _, body):
                yield label
                yield from _labels(body)


def _locals(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        match node:
            case Line(text):
                yield from _LOCAL.findall(text)
            case Return(lines):
                yield from _LOCAL.findall("\n".join(lines))
            case Cond(test, then, orelse):
                yield from _LOCAL.findall(test)
                yield from _locals(then)
                yield from _locals(orelse)
            case Block(_, body):
                yield from _locals(body)
            case Loop(_, header, body):
                yield from _LOCAL.findall(header)
                yield from _locals(body)


def _crossed(body: list[Node], label: Label) -> bool:
    """Whether a jump to the label stands inside a loop of its body."""
    for node in body:
        match node:
            case Block(_, inner) | Loop(_, _, inner):
                if any(jump.label is label for jump in jumps(inner)):
                    return True
            case Cond(_, then, orelse):
                if _crossed(then, label) or _crossed(orelse, label):
                    return True
    return False
