"""Where settings stand in their file, for errors that show only when a setting is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from palisade.policy.source import Source
from palisade.rego.errors import Diagnostic, Location


@dataclass(frozen=True, slots=True)
class Places:
    """The settings of a file by their full names, such as `engine.listen`, and where their values stand."""

    source: Source
    settings: Mapping[str, Location] = field(default_factory=lambda: MappingProxyType({}))

    def find(self, *settings: str) -> Location | None:
        """The place of the first of these settings that the file has; None where it has none."""
        return next((self.settings[each] for each in settings if each in self.settings), None)

    def error(self, code: str, message: str, hint: str, *settings: str) -> Diagnostic:
        """An error at the first of these settings that the file has, or else at its beginning."""
        at = self.find(*settings) or Location(self.source.name, 1, 1)
        return replace(self.source.error(at, message, hint), code=code)
