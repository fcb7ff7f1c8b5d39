"""What an OPA server is given of a revision: its modules and documents, in a place of their own.

One OPA serves several revisions at a time, of several engines. So each revision's packages and documents go
below a prefix that names engine and revision, and every reference to `data` is led there. Sources are edited
where the tree says that `data` stands; all else, comments and lines too, stays as it was written.

    package a                   package palisade_revisions.e1.r2.set.a
    allow if data.roles[x]      allow if data.palisade_revisions.e1.r2.set.roles[x]

OPA takes modules one at a time, and compiles all that it has each time. Three things follow:

* A call of a function that OPA does not have is an error. So stubs go first, which declare each function
  and never hold, and are removed last.
* What is asked is a module of its own, which goes last and is removed first: where it is, everything is.
* It gives the revision's name out of the documents, too: an OPA whose documents were lost gives none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from palisade.policy import library
from palisade.policy.revisions import Revision
from palisade.rego import ast
from palisade.rego.errors import COMPILE_ERROR, CompileError, Diagnostic, Location
from palisade.rego.lexer import FUTURE_KEYWORDS, KEYWORDS, tokenize
from palisade.rego.places import Places
from palisade.rego.values import Value

REVISIONS, MANIFESTS = "palisade_revisions", "palisade_published"

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = KEYWORDS | FUTURE_KEYWORDS
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a revision of an engine stands in OPA. Both names are made of letters, digits and `_`."""

    engine: str
    revision: str

    @property
    def base(self) -> str:
        """The path of its documents below /v1/data: the set's as `set`, and its name as `revision`."""
        return f"{REVISIONS}/{self.engine}/{self.revision}"

    @property
    def prefix(self) -> str:
        """What stands between `data` and the path of a document or a rule of the set."""
        return f"{self.base.replace('/', '.')}.set"

    @property
    def entry(self) -> str:
        """The path that is asked: an object of `revision` and, where the decision is defined, `decision`."""
        return f"{self.base}/entry"

    @property
    def manifest(self) -> str:
        """The path of the list of its policies, in the order in which they can be removed."""
        return f"{MANIFESTS}/{self.engine}/{self.revision}"

    @property
    def policies(self) -> str:
        """What the ids of its policies start with."""
        return f"palisade/{self.engine}/{self.revision}"


@dataclass(frozen=True, slots=True)
class _Edit:
    """Text that was put in place of `removed` characters. `offset` counts in the text before."""

    offset: int
    removed: int
    text: str


@dataclass(frozen=True, slots=True)
class OpaModule:
    """A module as OPA gets it. `origin` is the set's that it was made of, None for one of Palisade's own."""

    id: str
    text: str
    origin: ast.Module | None = None
    edits: tuple[_Edit, ...] = ()

    def place_of(self, row: int, col: int) -> Location | None:
        """Where in the user's source a row and column of OPA's are; None in a module of Palisade's own."""
        if self.origin is None:
            return None
        source = self.origin.source
        at = self._before(_offset(self.text, row, col))
        start = source.rfind("\n", 0, at) + 1
        return Location(self.origin.loc.file, source.count("\n", 0, start) + 1, at - start + 1)

    def _before(self, offset: int) -> int:
        """The offset before the edits."""
        for edit in reversed(self.edits):
            grown = sum(len(each.text) - each.removed for each in self.edits if each.offset < edit.offset)
            start = edit.offset + grown
            if offset >= start + len(edit.text):
                return offset - grown - len(edit.text) + edit.removed
            if offset >= start:
                return edit.offset
        return offset


@dataclass(frozen=True, slots=True)
class Publication:
    """All that OPA is given of a revision, in order."""

    place: Place
    documents: dict[str, Value]
    policies: tuple[OpaModule, ...]

    @property
    def removal(self) -> list[str]:
        """The ids of the policies in the order in which they can be removed: who calls goes before."""
        return [module.id for module in reversed(self.policies)]


def publication(place: Place, revision: Revision) -> Publication:
    """What OPA is to be given of a revision. Raises `rego.CompileError` for what would mean another thing."""
    modules = revision.policy.checked.modules
    if errors := [error for module in modules for error in _tells_its_place(module)]:
        raise CompileError(errors)
    stubs = tuple(_stubs(place, modules))
    moved = tuple(_moved(place, number, module) for number, module in enumerate(modules))
    documents: dict[str, Value] = {"revision": place.revision, "set": revision.policy_set.data}
    entry = _entry(place, revision.inventory.decision)
    return Publication(place, documents, (*stubs, *moved, entry))


def _tells_its_place(module: ast.Module) -> Iterator[Diagnostic]:
    """What shows a policy where it stands in OPA, which is elsewhere than in the set."""
    for rule in module.rules:
        for node in ast.walk(rule):
            if isinstance(node, ast.Call) and node.name == "rego.metadata.chain":
                at = module.lines.now(node.loc)
                line = module.source.split("\n")[at.row - 1].rstrip("\r")
                message = "rego.metadata.chain gives other paths in an OPA that serves several revisions"
                hint = "use rego.metadata.rule, or the embedded backend"
                yield Diagnostic(COMPILE_ERROR, message, at, line, hint)


def _moved(place: Place, number: int, module: ast.Module) -> OpaModule:
    """The module under the place's prefix."""
    source = module.source
    edits = (_package_edit(place, source), *(_Edit(at, 0, f".{place.prefix}") for at in _data(module)))
    parts, end = [], 0
    for edit in edits:
        parts += [source[end : edit.offset], edit.text]
        end = edit.offset + edit.removed
    name = _ODD.sub("_", module.loc.file.removeprefix(library.PREFIX).rpartition("/")[2])
    return OpaModule(f"{place.policies}/{number}-{name}", "".join((*parts, source[end:])), module, edits)


def _package_edit(place: Place, source: str) -> _Edit:
    name = tokenize(source).tokens[1]
    if name.text in _KEYWORDS:  # it may start a package's name, but not follow a dot in every OPA
        return _Edit(name.start, name.end - name.start, f'{place.prefix}["{name.text}"]')
    return _Edit(name.start, 0, f"{place.prefix}.")


def _data(module: ast.Module) -> list[int]:
    """Where to insert, behind each `data` of the module."""
    found = set()
    places = Places.of(module)
    for statement in (*module.imports, *module.rules):
        if isinstance(statement, ast.Import) and isinstance(statement.path, ast.Var):
            continue  # `import data` gives it no other meaning
        for node in ast.walk(statement):
            if isinstance(node, ast.Var) and node.name == "data":
                start = places.start(node.loc)
                end = start + len("data")
                if module.source[start:end] != "data":
                    raise AssertionError(f"{module.lines.now(node.loc)}: no `data` stands here")
                found.add(end)
    return sorted(found)


def _stubs(place: Place, modules: tuple[ast.Module, ...]) -> Iterator[OpaModule]:
    """A module for each package with functions."""
    packages: dict[tuple[str, ...], set[str]] = {}
    for module in modules:
        for rule in module.rules:
            head = rule.head
            if head.args is not None:
                name = head.name.name + _path(
                    part.value for part in head.path if isinstance(part, ast.Scalar)
                )
                args = ", ".join(f"a{number}" for number in range(len(head.args)))
                packages.setdefault(module.package, set()).add(f"{name}({args}) := input if false")
    for number, (package, functions) in enumerate(packages.items()):
        lines = [f"package {place.prefix}{_path(package)}", "import rego.v1", *sorted(functions)]
        yield OpaModule(f"{place.policies}/functions-{number}", "\n\n".join(lines) + "\n")


def _entry(place: Place, decision: str) -> OpaModule:
    base = place.base.replace("/", ".")
    text = f"""package {base}.entry

import rego.v1

revision := data.{base}.revision

decision := data.{place.prefix}{_path(decision.split("/"))}
"""
    return OpaModule(f"{place.policies}/entry", text)


def _path(parts: Iterable[object]) -> str:
    """`.a["b c"]`"""
    return "".join(
        f".{part}" if _WORD.fullmatch(str(part)) and part not in _KEYWORDS else f"[{json.dumps(part)}]"
        for part in parts
    )


def _offset(text: str, row: int, col: int) -> int:
    """Where a row and column, both from 1, stand in a text; its end at the latest."""
    start = 0
    for _ in range(row - 1):
        start = text.find("\n", start) + 1
        if not start:
            return len(text)
    return min(start + col - 1, len(text))
