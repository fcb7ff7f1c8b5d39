"""The Rego library: modules of `data.palisade.lib` that every policy set may import."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from palisade.policy.sets import TEST_SUFFIX

PREFIX = "palisade:"
"""Begins the names under which errors show the library's modules."""


@cache
def modules() -> Mapping[str, str]:
    """The library's sources by name."""
    found = {}
    for path in sorted(_folder().rglob("*.rego")):
        if not path.name.endswith(TEST_SUFFIX):
            found[PREFIX + path.relative_to(_folder()).as_posix()] = path.read_text(encoding="utf-8")
    return MappingProxyType(found)


def _folder() -> Path:
    """Where the modules are: in the installed package, or in the repository that this runs from."""
    installed = Path(str(resources.files("palisade"))) / "library"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "rego" / "palisade"
