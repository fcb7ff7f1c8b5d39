"""Telling when policies have changed and are quiet again.

Nobody saves a set of files at one moment: editors truncate and write, or write aside and rename; `git
checkout` takes hundreds of files in turn; Kubernetes swaps a link. So a change is told when nothing has
happened for `quiet` seconds, no file is still open for writing, and git holds no lock. Where every file that
was touched is known to be complete (written and closed, or renamed into place), a third of `quiet` will do;
and after `patience` seconds it is told in any case, so that a noisy neighbour cannot hold a policy back.

watchdog gets the events from the operating system; nothing is polled.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from watchdog import events as fs
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from palisade.policy.data import FILE_NAMES

QUIET = 0.03
PATIENCE = 2.0

# More events than this at once may have overflowed the kernel's queue (16,384 by default), which drops what
# comes then: so look once more.
_BURST = 4_000
_BURST_RECHECK = 1.0

# Opening and reading a file are events too, and this program's own reading must not wake it.
_KINDS = frozenset({"created", "deleted", "moved", "modified", "attrib", "closed"})
_EVENTS = [
    event
    for name in ("Modified", "Attrib", "Created", "Deleted", "Moved", "Closed")
    for each in ("File", "Dir")
    if (event := getattr(fs, f"{each}{name}Event", None)) is not None and event is not fs.DirModifiedEvent
]
# Where only names matter, as in the folder of palisade.yaml, a file is heard of when it is closed: a decision
# log that stands there would wake this program with each line else.
_EVENTS_OF_NAMES = [event for event in _EVENTS if event is not fs.FileModifiedEvent]


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder to watch. The inode tells apart a folder and its successor of the same name."""

    folder: str
    recursive: bool
    whole: bool
    inode: tuple[int, int]


class Watcher:
    """Watches files and folders, which may be missing, be links, vanish, and come back.

    Belongs to the event loop it is started in. `watch` says what to watch; `changed` waits for a change.
    """

    def __init__(self, *, quiet: float = QUIET, patience: float = PATIENCE) -> None:
        self._quiet = quiet
        self._patience = patience
        self._observer: BaseObserver = _observer()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places: dict[_Place, ObservedWatch] = {}
        self._plan = _Plan()
        self._touched = asyncio.Event()
        self._heard = False
        self._last = 0.0
        self._count = 0
        self._writing: set[str] = set()
        """Files that were written to and not closed yet."""
        self._unsettled: set[str] = set()
        """What appeared, vanished or changed its mode: something may follow, such as a file's return."""
        self._opened: set[_Place] = set()
        """Places with a folder in them that had no watch for its mode, and may be given one now."""
        self._git: tuple[Path, ...] = ()

    @property
    def generation(self) -> int:
        """Counts events: when it is the same after a reading as before, nothing changed meanwhile."""
        return self._count

    def start(self) -> None:
        """Starts watching. Call from the running event loop."""
        self._loop = asyncio.get_running_loop()
        _shorten_pairing_of_moves()
        self._observer.start()

    def close(self) -> None:
        """Ends watching, and the threads behind it."""
        self._loop = None
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def watch(self, paths: Iterable[Path], folders: Iterable[Path] = ()) -> None:
        """Watches `paths`, folders with all below them, and the further `folders` they lead to by links.

        Replaces what was watched before; what may not be read is watched from the folder above it alone.
        Raises OSError where the system refuses, such as beyond its limit of watches
        (fs.inotify.max_user_watches).
        """
        paths = [Path(os.path.abspath(path)) for path in paths]
        self._git = tuple({lock for path in paths if (lock := _git_lock(path)) is not None})
        self._plan = _Plan.of(paths, folders)
        wanted = self._plan.places
        for place in self._places.keys() - (wanted - self._opened):
            self._forget(self._places.pop(place))
        self._opened.clear()
        added = wanted - self._places.keys()
        for place in sorted(added, key=lambda each: each.folder):
            try:
                self._places[place] = self._observer.schedule(
                    _Handler(self, place),
                    place.folder,
                    recursive=place.recursive,
                    event_filter=_EVENTS if place.whole else _EVENTS_OF_NAMES,
                )
            except (FileNotFoundError, PermissionError):
                continue  # gone since it was planned, or closed; a folder above it is watched and tells more
        if added:
            # What changed between the reading and this moment raised no event.
            self._touch()

    def look_again(self, seconds: float) -> None:
        """Lets `changed` return after so long, too: what could not be read tells of no change."""
        if self._loop is not None:
            self._loop.call_later(seconds, self._touch)

    async def changed(self) -> bool:
        """Returns after the next change, once all is quiet.

        False where nothing was heard: what is watched became more, and may have changed before that.
        """
        await self._touched.wait()
        clock = asyncio.get_running_loop().time
        first, count = clock(), self._count
        while clock() - first < self._patience:
            quiet = self._quiet if self._unsettled else self._quiet / 3
            rest = self._last + quiet - clock()
            if rest > 0:
                await asyncio.sleep(rest)
            elif self._writing or any(map(os.path.exists, self._git)):
                await asyncio.sleep(self._quiet / 3)
            else:
                break
        heard, self._heard = self._heard, False
        self._touched.clear()
        self._writing.clear()
        self._unsettled.clear()
        if self._count - count > _BURST:
            self.look_again(_BURST_RECHECK)
        return heard

    def _touch(self) -> None:
        self._last = asyncio.get_running_loop().time()
        self._count += 1
        self._touched.set()

    def _note(self, kind: str, source: str, target: str) -> None:
        """An event that matters, in the event loop."""
        self._heard = True
        if kind == "modified":
            self._writing.add(source)
        elif kind == "closed":
            self._writing.discard(source)
            self._unsettled.discard(source)
        elif kind == "moved":
            self._writing.discard(source)
            if _belongs(target) and not _belongs(source):
                self._unsettled -= {source, target}  # written aside, and now in its place
            else:
                self._unsettled.add(source)
        else:
            self._unsettled.add(source)
            if kind == "deleted":
                self._writing.discard(source)
            elif kind == "created" and _belongs(source) and _is_empty(source):
                self._writing.add(source)  # whoever made it has something to write
        self._touch()

    def _forget(self, watch: ObservedWatch) -> None:
        with suppress(KeyError):  # watchdog drops the watch of a deleted folder by itself
            self._observer.unschedule(watch)

    # In watchdog's thread ---------------------------------------------------------------------------

    def _hear(self, place: _Place, event: FileSystemEvent) -> None:
        loop = self._loop
        if loop is None or event.event_type not in _KINDS:
            return
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path or b"")
        if not any(self._matters(place, event, path) for path in (source, target) if path):
            return
        try:
            if place.recursive and event.is_directory and event.event_type == "attrib":
                loop.call_soon_threadsafe(self._opened.add, place)
            loop.call_soon_threadsafe(self._note, event.event_type, source, target)
        except RuntimeError:
            return  # the loop ended between the check and the call

    def _matters(self, place: _Place, event: FileSystemEvent, path: str) -> bool:
        if path == place.folder:
            return event.event_type in ("deleted", "moved", "attrib")
        folder, name = os.path.split(path)
        if name in self._plan.names.get(folder, ()):
            return True
        if not place.recursive and folder not in self._plan.whole:
            return False
        if event.is_directory:
            return event.event_type != "modified"
        if name.startswith(".") and not name.startswith(".."):
            return False  # an editor's swap file
        if event.event_type in ("modified", "closed", "attrib"):
            return _belongs(name)
        return True


def _belongs(path: str) -> bool:
    """Whether a file is part of a policy set, by its name."""
    return path.endswith(".rego") or os.path.basename(path) in FILE_NAMES


def _is_empty(path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher, place: _Place) -> None:
        self._watcher = watcher
        self._place = place

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._watcher._hear(self._place, event)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which folders to watch; in `names` what matters in each, in `whole` the folders where all does."""

    places: frozenset[_Place] = frozenset()
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paths: Sequence[Path], folders: Iterable[Path]) -> _Plan:
        recursive = {os.path.realpath(path) for path in paths if path.is_dir()}
        names: dict[str, set[str]] = {}
        for path in paths:
            for folder, name in _steps(path):
                names.setdefault(folder, set()).add(name)
        whole = recursive | set(map(str, folders))
        places = set()
        for folder in names.keys() | whole:
            if folder not in recursive and _below(folder, recursive):
                continue
            with suppress(OSError):  # gone by now: then a folder above it is watched, and tells
                status = os.stat(folder)
                if not _readable(folder):
                    continue  # there is no watch for it; when its mode changes, a folder above it tells
                inode = (status.st_dev, status.st_ino)
                places.add(_Place(folder, folder in recursive, folder in whole, inode))
        return cls(
            frozenset(places), {key: frozenset(value) for key, value in names.items()}, frozenset(whole)
        )


def _readable(folder: str) -> bool:
    return os.access(folder, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _below(folder: str, roots: Iterable[str]) -> bool:
    return any(folder != root and folder.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _steps(path: Path) -> list[tuple[str, str]]:
    """The real folders where a change can make `path` mean something else, with the name that counts there.

    These are the folder of the path itself, of each symbolic link on the way, and of the first part missing.
    """
    steps: list[tuple[str, str]] = []
    rest = list(path.parts[1:])
    folder = path.anchor
    links = 0
    while rest:
        name = rest.pop(0)
        here = os.path.join(folder, name)
        if name == "..":
            folder = os.path.dirname(folder)
            continue
        if os.path.islink(here) and links < 40:
            links += 1
            steps.append((folder, name))
            target = Path(os.readlink(here))
            if target.is_absolute():
                folder = target.anchor
                rest = [*target.parts[1:], *rest]
            else:
                rest = [*target.parts, *rest]
            continue
        if not rest or not os.path.isdir(here):
            steps.append((folder, name))
            break
        folder = here
    return steps


def _git_lock(path: Path) -> Path | None:
    """The file that exists while git changes the working tree that `path` stands in."""
    for folder in (path, *path.parents):
        git = folder / ".git"
        # Not by methods of Path, which raise where a folder may not be looked into.
        if os.path.isdir(git):
            return git / "index.lock"
        if os.path.isfile(git):  # a worktree or submodule: the file says where the directory is
            try:
                word, _, target = git.read_text().strip().partition(": ")
            except (OSError, UnicodeDecodeError):
                return None
            return folder / target / "index.lock" if word == "gitdir" else None
    return None


def _observer() -> BaseObserver:
    """An observer that hears of changed modes, also where it need not hear of what is written."""
    observer = Observer()
    with suppress(ImportError, AttributeError):  # not Linux
        inotify = importlib.import_module("watchdog.observers.inotify")
        attributes = importlib.import_module("watchdog.observers.inotify_c").InotifyConstants.IN_ATTRIB

        class Emitter(inotify.InotifyEmitter):  # type: ignore[name-defined,misc]
            def get_event_mask_from_filter(self) -> Any:
                return type(attributes)(super().get_event_mask_from_filter() | attributes)

        observer._emitter_class = Emitter
    return observer


def _shorten_pairing_of_moves() -> None:
    """Lets watchdog tell of a moved file at once.

    It holds back each "moved from" for half a second, and all events behind it, in case a "moved to" follows.
    For a reload it makes no difference whether a file was renamed, or left and another came.
    """
    if sys.platform != "linux":
        return
    for module, name in (
        ("inotify_move_event_grouper", "InotifyMoveEventGrouper"),
        ("inotify_buffer", "InotifyBuffer"),  # before watchdog 7
    ):
        try:
            getattr(importlib.import_module(f"watchdog.observers.{module}"), name).delay = 0.005
        except (ImportError, AttributeError):
            continue
