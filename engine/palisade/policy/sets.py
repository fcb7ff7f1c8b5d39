"""Policy sets: a folder of Rego modules and their base documents, read at one moment.

Modules are all `*.rego` files at any depth, `*_test.rego` apart; documents are `data.json`, `data.yaml` and
`data.yml`. Names that start with a dot are passed over: editors leave such files, and a Kubernetes ConfigMap
keeps its generations in them (`..data`), beside the links that this module follows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from palisade.policy import data
from palisade.policy.source import LOAD_ERROR, SourceError, read_text, unreadable
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.values import Value

TEST_SUFFIX = "_test.rego"

MOST_FOLDERS = 50_000
"""More than any set has, and what some ten seconds walk through: `/`, or links that multiply each other."""


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What one reading of a folder gave. Two sets with the same digest decide alike."""

    root: Path
    modules: Mapping[str, str]
    """Sources by the name that errors show."""
    tests: Mapping[str, str]
    """The modules of tests, which are not served."""
    data: Value
    """All base documents as one object."""
    digest: str
    """SHA-256 over the names (relative to the root) and contents of what is served."""
    rego_version: int = 1
    folders: frozenset[Path] = frozenset()
    """Real paths of all folders that something was read from, those behind symbolic links too."""
    shown: str = ""
    """How errors call the root: the names of modules begin with it."""
    warnings: tuple[Diagnostic, ...] = ()
    """What is no error of a document and still hardly meant."""


class PolicySetError(SourceError):
    """Every file of a policy set that cannot be read or contradicts another. `rest` is what could be read."""

    def __init__(self, errors: Iterable[Diagnostic], rest: PolicySet) -> None:
        super().__init__(errors)
        self.rest = rest


def load(root: Path | str, *, shown: str | None = None, rego_version: int = 1) -> PolicySet:
    """The policy set in a folder (or one `.rego` file). `shown` is how errors call the folder.

    Raises PolicySetError with all that cannot be read.
    """
    named = os.fspath(root) if shown is None else shown
    reading = _Reading(Path(root), named)
    try:
        reading.read()
    except _TooManyFoldersError:
        # What was found on the way is of several sets, or of none: its errors would help nobody.
        reading = _Reading(Path(root), named)
        reading.unfit(f"has more than {MOST_FOLDERS:,} folders")
    documents, conflicts = data.merge(reading.documents)
    digest = hashlib.sha256(f"rego v{rego_version}\n".encode())
    for relative, text in sorted(reading.served.items()):
        for part in (relative, text):
            raw = part.encode("utf-8", "surrogateescape")
            digest.update(len(raw).to_bytes(8, "big") + raw)
    policy_set = PolicySet(
        root=Path(root),
        modules=MappingProxyType(reading.modules),
        tests=MappingProxyType(reading.tests),
        data=documents,
        digest=digest.hexdigest(),
        rego_version=rego_version,
        folders=frozenset(reading.folders),
        shown=named,
        warnings=tuple(reading.warnings),
    )
    if reading.errors or conflicts:
        raise PolicySetError([*reading.errors, *conflicts], policy_set)
    return policy_set


class _TooManyFoldersError(Exception):
    """The walk has been through more folders than any policy set has."""


class _Reading:
    """One walk over a folder."""

    def __init__(self, root: Path, shown: str) -> None:
        self._root = root
        self._shown = shown
        self.modules: dict[str, str] = {}
        self.tests: dict[str, str] = {}
        self.served: dict[str, str] = {}
        self.documents: list[data.Document] = []
        self.folders: set[Path] = set()
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._walked = 0

    def read(self) -> None:
        try:
            mode = os.stat(self._root).st_mode
        except (FileNotFoundError, NotADirectoryError):
            self.unfit("does not exist")
            return
        except OSError as error:
            self.errors.append(unreadable(LOAD_ERROR, "the policy set cannot be read", error, self._shown))
            return
        if stat.S_ISREG(mode):
            self._file(os.fspath(self._root), (), self._shown, linked=self._root.is_symlink())
        elif stat.S_ISDIR(mode):
            for file, mount in self._walk(self._root, (), ()):
                shown = os.path.join(self._shown, *mount, file.name)
                self._file(file.path, mount, shown, linked=file.is_symlink())
        else:
            self.unfit("is neither a folder nor a file")

    def _walk(
        self, folder: Path, mount: tuple[str, ...], above: tuple[tuple[int, int], ...]
    ) -> Iterator[tuple[os.DirEntry[str], tuple[str, ...]]]:
        """The files that belong to the set, with the path of their folder below the root, in order."""
        try:
            status = folder.stat()
            with os.scandir(folder) as found:
                entries = sorted(found, key=attrgetter("name"))
        except OSError as error:
            shown = os.path.join(self._shown, *mount)
            self.errors.append(unreadable(LOAD_ERROR, "the folder cannot be read", error, shown))
            return
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            self._refuse(mount, "", "a symbolic link leads back to a folder above it", "remove the link")
            return
        self._walked += 1
        if self._walked > MOST_FOLDERS:
            raise _TooManyFoldersError
        self.folders.add(Path(os.path.realpath(folder)))
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            try:
                # What the folder says of most of them, without a look at each.
                if entry.is_dir():
                    yield from self._walk(folder / name, (*mount, name), (*above, identity))
                elif self._belongs(name):
                    if entry.is_file():
                        yield entry, mount
                    else:
                        entry.stat()
                        self._refuse(mount, name, "is no regular file", "replace it by one, or rename it")
            except OSError as error:
                if self._belongs(name):
                    self._refuse(mount, name, _unreachable(folder / name, error))

    def _file(self, path: str, mount: tuple[str, ...], shown: str, *, linked: bool) -> None:
        if linked:
            self.folders.add(Path(os.path.realpath(path)).parent)
        text = read_text(path, shown, LOAD_ERROR)
        if isinstance(text, Diagnostic):
            self.errors.append(text)
            return
        name = os.path.basename(path)
        if name.endswith(TEST_SUFFIX):
            self.tests[shown] = text
            return
        self.served["/".join((*mount, name))] = text
        if name.endswith(".rego"):
            self.modules[shown] = text
            return
        value = data.read(shown, text)
        if isinstance(value, Diagnostic):
            self.errors.append(value)
        else:
            self.documents.append(data.Document(shown, mount, value))
            self.warnings += data.warnings(shown)

    @staticmethod
    def _belongs(name: str) -> bool:
        return name.endswith(".rego") or name in data.FILE_NAMES

    def unfit(self, what: str) -> None:
        """Notes what keeps all of it from being a policy set."""
        hint = "name the folder that holds your .rego files"
        message = f"the policy set {what}"
        self.errors.append(Diagnostic(LOAD_ERROR, message, Location(self._shown, 1, 1), hint=hint))

    def _refuse(self, mount: tuple[str, ...], name: str, message: str, hint: str = "") -> None:
        shown = os.path.join(self._shown, *mount, name).rstrip("/")
        self.errors.append(Diagnostic(LOAD_ERROR, message, Location(shown, 1, 1), hint=hint))


def _unreachable(path: Path, error: OSError) -> str:
    if not path.is_symlink():
        return f"cannot be read: {error.strerror or error}"
    target = os.readlink(path)
    if isinstance(error, FileNotFoundError):
        return f"the symbolic link leads nowhere: {target}"
    return f"the symbolic link to {target} cannot be followed: {error.strerror or error}"
