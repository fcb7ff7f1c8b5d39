"""YAML whose every value knows its place, and diagnostics that point there.

ruamel.yaml parses; this module keeps what its plain loaders drop: the line and column of each key and value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from palisade.rego.errors import Diagnostic, Location

CONFIG_ERROR = "config_error"

# Aliases make a small text a huge tree ("billion laughs"); no settings file comes near this many values.
_MOST_VALUES = 100_000
_MOST_DEPTH = 100

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value: string, integer, float, boolean or None."""

    value: str | int | float | bool | None
    at: Location


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Tree, ...]
    at: Location


@dataclass(frozen=True, slots=True)
class Mapping:
    """`entries` in the order of the text; each key with the place where it stands."""

    entries: tuple[tuple[Scalar, Tree], ...]
    at: Location

    def __iter__(self) -> Iterator[tuple[Scalar, Tree]]:
        return iter(self.entries)


Tree: TypeAlias = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the name its diagnostics show."""

    name: str
    text: str

    def error(self, at: Location, message: str, hint: str = "") -> Diagnostic:
        """A diagnostic at a place of this text, with the line there."""
        lines = self.text.splitlines()
        line = lines[at.row - 1] if 0 < at.row <= len(lines) else ""
        return Diagnostic(CONFIG_ERROR, message, at, line, hint)

    def parse(self) -> Tree | Diagnostic:
        """The one document of the text, or what keeps it from being read. An empty text is a null."""
        try:
            node = YAML(pure=True).compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = self._at(mark) if mark is not None else Location(self.name, 1, 1)
            what = error.problem or error.context or "cannot be read"
            return self.error(at, f"not YAML: {what}", error.context or "")
        except YAMLError as error:  # characters that YAML forbids; ruamel gives no mark for them
            return self.error(Location(self.name, 1, 1), f"not YAML: {error}".splitlines()[0])
        if node is None:
            return Scalar(None, Location(self.name, 1, 1))
        try:
            return _Builder(self).build(node, 0)
        except _RefusedError as refused:
            return refused.diagnostic

    def _at(self, mark: Any) -> Location:
        return Location(self.name, mark.line + 1, mark.column + 1)


class _RefusedError(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


class _Builder:
    """Turns ruamel's nodes into trees."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0

    def build(self, node: Node, depth: int) -> Tree:
        self._count += 1
        at = self._source._at(node.start_mark)
        if self._count > _MOST_VALUES or depth > _MOST_DEPTH:
            raise _RefusedError(self._source.error(at, "too deep or too large for a settings file"))
        if isinstance(node, MappingNode):
            return Mapping(tuple(self._entries(node, depth)), at)
        if isinstance(node, SequenceNode):
            return Sequence(tuple(self.build(item, depth + 1) for item in node.value), at)
        assert isinstance(node, ScalarNode)  # noqa: S101 - YAML has three kinds of nodes
        return Scalar(_scalar(node), at)

    def _entries(self, node: MappingNode, depth: int) -> Iterator[tuple[Scalar, Tree]]:
        seen: dict[object, Location] = {}
        for key_node, value_node in node.value:
            key = self.build(key_node, depth + 1)
            if not isinstance(key, Scalar):
                raise _RefusedError(self._source.error(key.at, "a key must be a plain word"))
            if key.value in seen:
                first = seen[key.value]
                message = f"duplicate key '{key.value}'"
                hint = f"it stands in line {first.row} already; keep one of the two"
                raise _RefusedError(self._source.error(key.at, message, hint))
            seen[key.value] = key.at
            yield key, self.build(value_node, depth + 1)


def _scalar(node: ScalarNode) -> str | int | float | bool | None:
    text = str(node.value)
    match str(node.tag).removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
        case _:
            return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if digits.lower().lstrip("+-").startswith(prefix):
            return int(digits, base)
    return int(digits) if digits.lstrip("+-").isdigit() else text


def _float(text: str) -> float | str:
    try:
        return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` is likely a misspelling of."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known word, else the list of what is known."""
    words = sorted(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"known here: {', '.join(words)}" if words else ""


def read_text(path: Path, name: str) -> str | Diagnostic:
    """The text of a UTF-8 file, or why it cannot be read."""
    at = Location(name, 1, 1)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return Diagnostic(CONFIG_ERROR, "no such file", Location(name, 0, 0), hint="check the path")
    except OSError as error:
        return Diagnostic(CONFIG_ERROR, f"cannot be read: {error.strerror or error}", Location(name, 0, 0))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        row = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        return Diagnostic(
            CONFIG_ERROR, message, Location(at.file, row, column), hint="save the file as UTF-8"
        )
