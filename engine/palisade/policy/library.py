"""The Rego library: modules of `data.palisade.lib` that every policy set may import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from palisade import rego
from palisade.policy.sets import TEST_SUFFIX
from palisade.rego import ast
from palisade.rego.check import unresolved
from palisade.rego.errors import COMPILE_ERROR, CompileError
from palisade.rego.values import Value

PREFIX = "palisade:"
"""Begins the names under which errors show the library's modules."""

_PATH = ("palisade", "lib")


@cache
def modules() -> Mapping[str, str]:
    """The library's sources by name."""
    found = {}
    for path in sorted(_folder().rglob("*.rego")):
        if not path.name.endswith(TEST_SUFFIX):
            found[PREFIX + path.relative_to(_folder()).as_posix()] = path.read_text(encoding="utf-8")
    return MappingProxyType(found)


def check_references(policy: rego.Policy, previous: rego.Policy | None = None) -> None:
    """Raises CompileError where modules of the set refer to what the library does not have.

    Nothing but the library is ever there, so this is no data that is to come, and a decision that rests on it
    would deny everything. Rules that stand in `previous`, a set that passed this, are passed over.
    """
    if previous is not None and (_adds(policy) or _adds(previous)):
        previous = None  # what a set adds to the library may have changed, or gone
    found = unresolved.find(
        policy.checked,
        policy.data,
        modules=_of_set(policy),
        below=_PATH,
        previous=None if previous is None else previous.checked,
    )
    if found:
        raise CompileError(replace(each, code=COMPILE_ERROR) for each in found)


def _of_set(policy: rego.Policy) -> list[ast.Module]:
    """The modules that are not the library's."""
    return [each for each in policy.checked.modules if not is_own(each.loc.file)]


def _adds(policy: rego.Policy) -> bool:
    """Whether modules or data of the set define something below the library's path."""
    below: Value | None = policy.data
    for name in _PATH:
        below = below.get(name) if isinstance(below, dict) else None
    return below is not None or any(each.package[: len(_PATH)] == _PATH for each in _of_set(policy))


def is_own(file: str) -> bool:
    """Whether a module of this name is one of the library's."""
    return file.startswith(PREFIX)


def _folder() -> Path:
    """Where the modules are: in the installed package, or in the repository that this runs from."""
    installed = Path(str(resources.files("palisade"))) / "library"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "rego" / "palisade"
