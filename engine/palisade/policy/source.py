"""YAML whose every value knows its place, and diagnostics that point there.

ruamel.yaml parses; this module keeps what its plain loaders drop: the line and column of each key and value.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from palisade.rego.errors import Diagnostic, Location
from palisade.rego.yaml_aliases import EXCESSIVE, Aliases

CONFIG_ERROR = "config_error"
LOAD_ERROR = "load_error"

# No file that people keep comes near these.
_MOST_VALUES = 2_000_000
_MOST_DEPTH = 200

_MOST_BYTES = 256 << 20

_TAG = "tag:yaml.org,2002:"


_PASSING = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN}
)


@dataclass(frozen=True, slots=True)
class PassingError(Diagnostic):
    """What may be well again though no file changes: files that could be opened, were there not too many
    open, or on a disk of the network that is away. Nothing tells of its end."""


def unreadable(code: str, what: str, error: OSError, name: str) -> Diagnostic:
    """That a file or folder cannot be read: `what` says which, `name` is how errors call it."""
    kind = PassingError if error.errno in _PASSING else Diagnostic
    return kind(code, f"{what}: {error.strerror or error}", Location(name, 1, 1))


class SourceError(Exception):
    """Everything that is wrong with what was read, by file and place. Never empty."""

    def __init__(self, errors: Iterable[Diagnostic]) -> None:
        self.errors = tuple(
            sorted(errors, key=lambda e: (e.location.file, e.location.row, e.location.col, e.message))
        )
        if not self.errors:
            raise ValueError("a SourceError needs at least one error")
        super().__init__("\n".join(map(str, self.errors)))


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
    """A text and the name its diagnostics show, and the code they carry."""

    name: str
    text: str
    code: str = CONFIG_ERROR

    def error(self, at: Location, message: str, hint: str = "") -> Diagnostic:
        """A diagnostic at a place of this text, with the line there."""
        lines = self.text.splitlines()
        line = lines[at.row - 1] if 0 < at.row <= len(lines) else ""
        return Diagnostic(self.code, message, at, line, hint)

    def parse(self, version: tuple[int, int] = (1, 2)) -> Tree | Diagnostic:
        """The one document of the text, or what keeps it from being read. An empty text is a null.

        `version` is the version of YAML: in 1.1 `yes` and `on` are booleans.
        """
        yaml = YAML(pure=True)
        yaml.version = version
        try:
            node = yaml.compose(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = self._at(mark) if mark is not None else Location(self.name, 1, 1)
            what = error.problem or error.context or "cannot be read"
            hint = error.context or ""
            if hint and error.context_mark is not None and error.problem_mark is not None:
                hint += f" that begins at {error.context_mark.line + 1}:{error.context_mark.column + 1}"
            return self.error(at, f"not YAML: {what}", _NO_TABS if "'\\t'" in what else hint)
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


_NO_TABS = "indent by spaces: YAML takes no tabs there"


class _RefusedError(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


class _Builder:
    """Turns ruamel's nodes into trees."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._aliases = Aliases()
        self._seen: set[int] = set()
        self._copying = False

    def build(self, node: Node, depth: int) -> Tree:
        # An alias stands for the very node that it names.
        if self._copying or id(node) not in self._seen:
            self._seen.add(id(node))
            return self._build(node, depth)
        self._copying = True
        try:
            return self._build(node, depth)
        finally:
            self._copying = False

    def _build(self, node: Node, depth: int) -> Tree:
        at = self._source._at(node.start_mark)
        if self._aliases.add(1, aliased=self._copying):
            raise _RefusedError(self._source.error(at, EXCESSIVE, "write out what the aliases stand for"))
        if self._aliases.count > _MOST_VALUES or depth > _MOST_DEPTH:
            raise _RefusedError(self._source.error(at, "nested too deep or too large to be read"))
        if isinstance(node, MappingNode):
            return Mapping(tuple(self._entries(node, depth)), at)
        if isinstance(node, SequenceNode):
            return Sequence(tuple(self.build(item, depth + 1) for item in node.value), at)
        assert isinstance(node, ScalarNode)  # noqa: S101 - YAML has three kinds of nodes
        return Scalar(_scalar(node), at)

    def _entries(self, node: MappingNode, depth: int) -> Iterator[tuple[Scalar, Tree]]:
        seen: dict[object, Location] = {}
        merged: list[tuple[Scalar, Tree]] = []
        for key_node, value_node in node.value:
            key = self.build(key_node, depth + 1)
            if not isinstance(key, Scalar):
                raise _RefusedError(self._source.error(key.at, "a key must be a plain word"))
            value = self.build(value_node, depth + 1)
            if key_node.tag == f"{_TAG}merge":
                merged += self._merged(key.at, value)
                continue
            # 1 and True are equal in Python.
            identity = (type(key.value), key.value)
            if identity in seen:
                message = f"duplicate key '{key_node.value}'"
                hint = f"it stands in line {seen[identity].row} already; keep one of the two"
                raise _RefusedError(self._source.error(key.at, message, hint))
            seen[identity] = key.at
            yield key, value
        # Own keys win over merged ones, and earlier merges over later ones (yaml.org/type/merge.html).
        for key, value in merged:
            identity = (type(key.value), key.value)
            if identity not in seen:
                seen[identity] = key.at
                yield key, value

    def _merged(self, at: Location, value: Tree) -> list[tuple[Scalar, Tree]]:
        parts = value.items if isinstance(value, Sequence) else (value,)
        entries: list[tuple[Scalar, Tree]] = []
        for part in parts:
            if not isinstance(part, Mapping):
                raise _RefusedError(self._source.error(at, "'<<' merges mappings only"))
            entries += part.entries
        return entries


def _scalar(node: ScalarNode) -> str | int | float | bool | None:
    text = str(node.value)
    match str(node.tag).removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "y", "on")
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
        case _:
            return text


def _integer(text: str) -> int | str:
    digits = text.replace("_", "").lower()
    unsigned = digits.lstrip("+-")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if unsigned.startswith(prefix):
            return int(digits, base)
    # What YAML 1.1 calls sexagesimal (12:30:00) stays a string, as in every parser people use today.
    return int(digits) if unsigned.isdigit() else text


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


def _read(file: BinaryIO, most: int) -> bytes:
    """So many bytes at most; asked for all at once, Python makes room for all of them for each small file."""
    size = 1 << 16
    first = file.read(min(size, most))
    if len(first) < size:
        return first
    parts = [first]
    most -= len(first)
    while most > 0 and (part := file.read(min(1 << 20, most))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def read_text(path: Path | str, name: str, code: str = CONFIG_ERROR) -> str | Diagnostic:
    """The text of a UTF-8 file, or why it cannot be read. What is not made for reading may have no end."""
    try:
        with open(path, "rb") as file:
            raw = _read(file, _MOST_BYTES + 1)
    except FileNotFoundError:
        return Diagnostic(code, "no such file", Location(name, 1, 1), hint="check the path")
    except IsADirectoryError:
        return Diagnostic(code, "is a folder", Location(name, 1, 1), hint="name a file in it")
    except OSError as error:
        return unreadable(code, "cannot be read", error, name)
    if len(raw) > _MOST_BYTES:
        message = f"too large: more than {_MOST_BYTES >> 20} MiB"
        return Diagnostic(code, message, Location(name, 1, 1), hint="is it the file you mean?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        row = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8: byte 0x{raw[error.start]:02x}"
        return Diagnostic(code, message, Location(name, row, column), hint="save the file as UTF-8")
