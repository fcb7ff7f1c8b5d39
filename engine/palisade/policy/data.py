"""Base documents: data.json and data.yaml as Rego values, merged where their folders mount them.

As OPA does for a bundle (https://www.openpolicyagent.org/docs/latest/management-bundles/#bundle-file-format):
the document in `roles/data.json` stands at `data.roles`, and two files may not both define one value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from palisade.policy import repeated
from palisade.policy.sharing import shared
from palisade.policy.source import LOAD_ERROR, Mapping, Sequence, Source, Tree
from palisade.rego import text as rego_text
from palisade.rego.collector import collector_paused
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.values import Value, number, type_name

FILE_NAMES = frozenset({"data.json", "data.yaml", "data.yml"})

_MOST_DIGITS = 4_300  # so many Python reads of an integer
# What is read goes through much that calls itself for each level, which Python ends at a thousand calls.
_MOST_DEPTH = 400


@dataclass(frozen=True, slots=True)
class Document:
    """One file's value and where it mounts, as the path below `data`."""

    name: str
    mount: tuple[str, ...]
    value: Value


class _Last:
    """The last reading of a file. One of before would take nine times its size, for nobody."""

    def __init__(self) -> None:
        self.reading: tuple[str, Value | Diagnostic] | None = None
        self.value: Value = None
        """That of the last reading without an error."""
        self.warnings: tuple[Diagnostic, ...] = ()


@lru_cache(maxsize=10_000)
def _last(name: str) -> _Last:
    return _Last()


# Reading YAML costs a millisecond for each kilobyte, and a reload may not: a file that did not change is not
# read again. Values are never changed, so sharing them is safe.
def read(name: str, text: str) -> Value | Diagnostic:
    """The value of a JSON or YAML text, or what is wrong with it."""
    last = _last(name)
    known = last.reading
    if known is None or known[0] != text:
        objects = repeated.Objects()
        with collector_paused():
            found = _read(name, text, objects)
            if not isinstance(found, Diagnostic):
                with suppress(RecursionError):  # of as many levels as there may be it can be left
                    found = shared(found, last.value)
                last.value = found
                last.warnings = repeated.find(name, text) if objects.repeated else ()
            known = last.reading = (text, found)
    return known[1]


def warnings(name: str) -> tuple[Diagnostic, ...]:
    """What is no error of the text that was last read under this name, and still hardly meant."""
    return _last(name).warnings


def _read(name: str, text: str, objects: repeated.Objects) -> Value | Diagnostic:
    if name.endswith(".json"):
        return read_json(name, text, objects)
    try:
        return _yaml(name, text)
    except RecursionError:
        return _too_deep(name)


def read_json(name: str, text: str, objects: repeated.Objects | None = None) -> Value | Diagnostic:
    """The value of a JSON text, whatever its file is called, or what is wrong with it.

    `objects` notes whether a key stands twice in it.
    """
    source = Source(name, text, LOAD_ERROR)
    try:
        value = rego_text.loads(text, objects)
        return _too_deep(name) if _deeper(value, text) else value
    except RecursionError:
        return _too_deep(name)
    except json.JSONDecodeError as error:
        at = Location(name, error.lineno, error.colno)
        return source.error(at, f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}")
    except ValueError as error:  # NaN, Infinity, and integers beyond Python's limit of digits
        what, hint = str(error), "write null, or leave it out"
        if "NaN" not in what and "Infinity" not in what:
            what, hint = (
                "a number is too big",
                f"it has more than {_MOST_DIGITS:,} digits: write it as a text",
            )
        return Diagnostic(LOAD_ERROR, f"not JSON: {what}", Location(name, 1, 1), hint=hint)


def _deeper(value: Value, text: str) -> bool:
    """Whether a value has more levels than are followed."""
    if text.count("[") + text.count("{") <= _MOST_DEPTH:
        return False
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _too_deep(name: str) -> Diagnostic:
    hint = f"at most {_MOST_DEPTH} levels, one in another, are read"
    return Diagnostic(LOAD_ERROR, "nested too deep to be read", Location(name, 1, 1), hint=hint)


def _yaml(name: str, text: str) -> Value | Diagnostic:
    source = Source(name, text, LOAD_ERROR)
    # OPA reads YAML with a parser of version 1.1, where `yes` and `on` are booleans.
    tree = source.parse(version=(1, 1))  # at most 200 levels
    return tree if isinstance(tree, Diagnostic) else _value(tree)


def _value(tree: Tree) -> Value:
    if isinstance(tree, Mapping):
        return {_key(key.value): _value(value) for key, value in tree}
    if isinstance(tree, Sequence):
        return [_value(item) for item in tree.items]
    if isinstance(tree.value, float):
        return _float(tree.value)
    return tree.value


def _key(value: str | int | float | bool | None) -> str:
    """The key as JSON has it, whose keys are strings."""
    return value if isinstance(value, str) else rego_text.dumps(value)


def _float(value: float) -> Value:
    try:
        return number(repr(value))
    except ValueError:  # .inf and .nan have no counterpart in Rego
        return str(value)


def merge(documents: Iterable[Document]) -> tuple[Value, list[Diagnostic]]:
    """One object of all documents, and what conflicts. No document is changed."""
    root: dict[str, Value] = {}
    owners: dict[tuple[str, ...], str] = {}
    errors: list[Diagnostic] = []
    for document in documents:
        value = document.value
        if not document.mount and not isinstance(value, dict):
            message = f"the document at the top must be an object, but is of type {type_name(value)}"
            errors.append(Diagnostic(LOAD_ERROR, message, Location(document.name, 1, 1)))
            continue
        for part in reversed(document.mount):
            value = {part: value}
        errors += _merge_into(root, value, (), document.name, owners)
    return root, errors


def _merge_into(
    target: dict[str, Value],
    addition: dict[str, Value],
    path: tuple[str, ...],
    name: str,
    owners: dict[tuple[str, ...], str],
) -> list[Diagnostic]:
    """Merges in place; `target` is an object that this module made. `owners` tells who set which path."""
    errors: list[Diagnostic] = []
    for key, value in addition.items():
        here = (*path, key)
        if key not in target:
            target[key] = value
            owners[here] = name
            continue
        existing = target[key]
        if isinstance(existing, dict) and isinstance(value, dict):
            target[key] = dict(existing)
            errors += _merge_into(target[key], value, here, name, owners)
            continue
        message = f"data.{'.'.join(map(str, here))} is defined twice"
        other = _owner(here, owners)
        hint = f"{other} defines it too: keep one of the two" if other else "keep one of the two"
        errors.append(Diagnostic(LOAD_ERROR, message, Location(name, 1, 1), hint=hint))
    return errors


def _owner(path: tuple[str, ...], owners: dict[tuple[str, ...], str]) -> str:
    while path and path not in owners:
        path = path[:-1]
    return owners.get(path, "")
