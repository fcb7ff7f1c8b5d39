"""Reading settings out of a YAML tree: every error is noted at its place, and none ends the reading."""

from __future__ import annotations

import collections.abc
import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, TypeVar

from palisade.policy.source import Mapping, Scalar, Source, Tree, did_you_mean, nearest
from palisade.rego.errors import Diagnostic, Location

T = TypeVar("T")
Examples: TypeAlias = collections.abc.Mapping[str, str]
"""Settings by name, as they could be written."""


class SettingsReader:
    """What readers of settings share. `path` is the file, to which relative paths in it are relative."""

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._path = path
        self.errors: list[Diagnostic] = []
        self.places: dict[str, Location] = {}
        """Where each setting's value stands, by the setting's full name."""

    def one_of(self, choices: tuple[T, ...]) -> Callable[[Tree, str], T]:
        """Reads one of these words; the first is the default."""

        def read(tree: Tree, name: str) -> T:
            for choice in choices:
                if isinstance(tree, Scalar) and tree.value == choice:
                    return choice
            shown = tree.value if isinstance(tree, Scalar) else "this"
            shown = "empty" if shown is None else shown
            self.error(tree.at, f"{name} cannot be {shown}", f"write one of {', '.join(map(str, choices))}")
            return choices[0]

        return read

    def whole(self, low: int, high: int, hint: str) -> Callable[[Tree, str], int]:
        """Reads a whole number between two, both included; the lower one stands for an error."""

        def read(tree: Tree, name: str) -> int:
            value = tree.value if isinstance(tree, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
                return value
            self.error(tree.at, f"{name} must be a number from {low} to {high}", hint)
            return low

        return read

    def path_of(self, tree: Tree, name: str) -> Path:
        """Reads a path; a relative one is relative to the file's folder."""
        text = self.text(tree, name, "a path")
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            self.error(tree.at, f"{name}: {text.split('/')[0]} is no user of this machine")
            path = Path()
        return Path(os.path.normpath(self._path.parent / path))

    def settings(
        self,
        tree: Tree,
        what: str,
        known: set[str],
        required: Examples = MappingProxyType({}),
        at: Location | None = None,
        within: str | None = None,
    ) -> dict[str, Tree]:
        """The known settings of a mapping; unknown and missing ones are noted.

        `required` has an example of each setting that may not be missing. `within` is what full names of
        settings begin with, by default what errors call the mapping.
        """
        if not isinstance(tree, Mapping):
            names = ", ".join(sorted(required or known))
            hint = f"with {names}" if required else f"`{{}}`, or one with {names}"
            self.error(tree.at, f"{what} must be a mapping", hint)
            return {}
        settings = {}
        misspelt = set()
        prefix = what if within is None else within
        for key, value in tree:
            word = str(key.value)
            if word in known:
                settings[word] = value
                self.places[f"{prefix}.{word}" if prefix else word] = value.at
            else:
                misspelt.add(nearest(word, known))
                self.error(key.at, f"unknown key '{word}' in {what}", did_you_mean(word, known))
        for name in required:
            if name not in settings and name not in misspelt:
                self.error(at or tree.at, f"{what} lacks '{name}'", f"add {required[name]}")
        return settings

    def read(
        self,
        settings: dict[str, Tree],
        key: str,
        read: Callable[[Tree, str], T],
        default: T,
        within: str = "",
    ) -> T:
        """What `read` makes of a setting, the default where it is missing; errors call it `within.key`."""
        if key not in settings:
            return default
        return read(settings[key], f"{within}.{key}" if within else key)

    def text(self, tree: Tree, name: str, what: str) -> str:
        """Reads a string that is not empty; an empty one stands for an error."""
        if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.value:
            return tree.value
        shown = "empty" if isinstance(tree, Scalar) and tree.value in (None, "") else "something else"
        self.error(tree.at, f"{name} must be {what}, but is {shown}")
        return ""

    def error(self, at: Location, message: str, hint: str = "") -> None:
        """Notes an error."""
        self.errors.append(self._source.error(at, message, hint))
