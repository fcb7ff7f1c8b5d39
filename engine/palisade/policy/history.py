"""The revisions that were put in force, kept on disk: for going back, for comparing, and for a restart.

Each time that something is put in force makes an entry: the whole policy set, what palisade.yaml says of how
it decides, and why it was put there. An entry is one file, written aside and renamed, and never changed
afterwards. The newest ones are what is in force (see `standing`), so a restart needs nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from palisade.files import PRIVATE, write_atomic
from palisade.policy.inventory import Inventory
from palisade.policy.sets import PolicySet
from palisade.policy.source import did_you_mean
from palisade.rego import Network, text
from palisade.rego.collector import collector_paused
from palisade.rego.values import Value

log = logging.getLogger(__name__)

_FORMAT = 1
_NAME = re.compile(r"(\d{6,})-[0-9a-f]{12}\.json")


class Cause(StrEnum):
    """What put an entry in force."""

    START = "start"
    """The engine found it when it first started."""
    EDIT = "edit"
    """The files on disk became it."""
    ROLLBACK = "rollback"
    RESUME = "resume"
    """A rollback or promotion was given up for what the files say."""
    PROMOTE = "promote"
    CANARY = "canary"
    """It was put in force at some functions; the entry before it stays so at all others."""


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """How many rules of a decision a sidecar decides always, but for some requests, or never by itself."""

    native: int = 0
    conditional: int = 0
    residual: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.native + self.conditional + self.residual


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision that was put in force. `number` counts up; `at` is in UTC."""

    number: int
    id: str
    at: datetime
    cause: Cause
    note: str
    policy_set: PolicySet
    policies: Path
    """The folder that palisade.yaml named then."""
    decision: str
    hosts: tuple[str, ...]
    rules: RuleCounts
    """Each rule once, as at the function where it needs the engine most."""
    over: str = ""
    """Pinned: it stays for as long as the files say this (`deciding`). Empty where they say the entry."""
    of: int = 0
    """The entry that a rollback went back to."""
    functions: tuple[str, ...] = ()
    """Where a canary is in force."""
    share: str = ""
    """How many functions the canary was to have, such as `25%`."""

    @property
    def deciding(self) -> str:
        """What `deciding` gives for it: two entries that have the same differ in their functions at most."""
        return _deciding(self.policy_set, self.decision, self.hosts)

    @property
    def outdated(self) -> str:
        """What is said where its policies have errors now."""
        return f"revision {self.id} does not compile any more"

    @property
    def remedy(self) -> str:
        """What to do then."""
        return (
            "the version of Palisade that put it in force took what this one refuses: "
            f"palisade history show {self.id} prints it; put it in a folder, and mend it there"
        )

    def inventory(self, now: Inventory) -> Inventory:
        """The inventory of now, deciding as the entry's did."""
        version = self.policy_set.rego_version
        return replace(now, decision=self.decision, network=Network(self.hosts), rego_version=version)


def deciding(inventory: Inventory, policy_set: PolicySet) -> str:
    """A hash of what decides, whatever functions there are: the set, the entry point, the hosts to reach."""
    return _deciding(policy_set, inventory.decision, inventory.network.hosts)


def _deciding(policy_set: PolicySet, decision: str, hosts: Iterable[str]) -> str:
    parts = [policy_set.digest, decision, sorted(hosts)]
    return hashlib.sha256(text.dumps(parts).encode()).hexdigest()[:16]


class UnknownRevisionError(LookupError):
    """A name that no entry has, or that several different ones have."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the newest entries say is in force."""

    base: Entry | None
    canary: Entry | None
    lost: tuple[str, ...] = ()
    """Why newer entries cannot be read: what they put in force is not known."""


class History:
    """The entries in a folder. Reading them takes no lock: files appear whole, and vanish whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, state: Path) -> History:
        """That of the engine with this state folder."""
        return cls(state / "history")

    def entries(self) -> tuple[Entry, ...]:
        """All entries that can be read, the oldest first. One that is damaged is logged and left out."""
        return self._read()[0]

    def _read(self) -> tuple[tuple[Entry, ...], dict[str, str]]:
        """The entries, and by the names of their files what is wrong with those that cannot be read."""
        found, damaged = [], {}
        for name in self._names():
            try:
                found.append(_read(self._folder / name))
            except FileNotFoundError:
                continue  # the engine has just dropped it
            except (OSError, ValueError, KeyError, TypeError) as error:
                damaged[name] = f"{self._folder / name} cannot be read and is left out: {error}"
                log.warning("%s", damaged[name])
        return tuple(found), damaged

    def standing(self) -> Standing:
        """What is in force by the newest entries."""
        entries, damaged = self._read()
        base = next((each for each in reversed(entries) if each.cause is not Cause.CANARY), None)
        newest = entries[-1].number if entries else 0
        lost = tuple(_lost(name, why, entries) for name, why in damaged.items() if _number(name) > newest)
        canary = entries[-1] if entries and entries[-1].cause is Cause.CANARY and not lost else None
        return Standing(base, canary if base else None, lost)

    def find(self, wanted: str) -> Entry:
        """The newest entry of a revision; the beginning of its id will do. Raises UnknownRevisionError."""
        return find(self.entries(), wanted)

    def add(self, entry: Entry, *, keep: int) -> Entry:
        """Keeps an entry under the next number, and `keep` before it; returns it so numbered.

        What is in force is never dropped. Raises OSError where the entry cannot be written.
        """
        return self._add(entry, keep=keep)[0]

    def add_both(self, base: Entry, canary: Entry, *, keep: int) -> tuple[Entry, Entry]:
        """Keeps what is in force and the canary beside it, as `add` does each.

        The canary is there first: an engine that is killed between the two goes on with it.
        """
        base, canary = self._add(base, canary, keep=keep)
        return base, canary

    def _add(self, *entries: Entry, keep: int) -> tuple[Entry, ...]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = self._names()
        first = _number(names[-1]) + 1 if names else 1
        numbered = tuple(replace(each, number=number) for number, each in enumerate(entries, first))
        for each in reversed(numbered):
            write_atomic(self._folder / _name(each), _spell(each), mode=PRIVATE)
        base = self.standing().base if numbered[0].cause is Cause.CANARY else None
        for old in names[: max(0, len(names) - keep)]:
            if base is None or old != _name(base):
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / old).unlink()
        return numbered

    def _names(self) -> list[str]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return sorted((each for each in names if _NAME.fullmatch(each)), key=_number)


def find(entries: tuple[Entry, ...], wanted: str) -> Entry:
    """The newest of the entries whose revision's id begins so. Raises UnknownRevisionError."""
    if not entries:
        raise UnknownRevisionError("no revision is kept yet")
    found = {each.id: each for each in entries if wanted and each.id.startswith(wanted)}
    if len(found) == 1:
        return found.popitem()[1]
    if found:
        raise UnknownRevisionError(f"several revisions begin with '{wanted}': {', '.join(sorted(found))}")
    hint = did_you_mean(wanted, {each.id for each in entries})
    raise UnknownRevisionError(f"no revision '{wanted}' is kept: {hint}")


def before(entries: tuple[Entry, ...]) -> Entry | None:
    """The entry that was in force before the newest one: the one to roll back to; None where there is none.

    From a rollback it goes on backwards: rolling back twice goes back two revisions, and never to one that
    was rolled back from.
    """
    steps = [each for each in entries if each.cause is not Cause.CANARY]
    if not steps:
        return None
    numbers = {each.number: each for each in steps}
    current = steps[-1]
    limit = current.number
    while current.of:
        limit = current.of
        if limit not in numbers:
            break
        current = numbers[limit]
    earlier = (each for each in reversed(steps) if each.number < limit)
    return next((each for each in earlier if each.deciding != steps[-1].deciding), None)


# Files ------------------------------------------------------------------------------------------------------


def _lost(name: str, why: str, entries: tuple[Entry, ...]) -> str:
    """What a newer entry that cannot be read was about, and how that comes back."""
    revision = name.partition("-")[2].removesuffix(".json")
    known = any(each.id == revision for each in entries)
    back = f"palisade rollback {revision}" if known else "it is kept nowhere else"
    return f"{why}; revision {revision} was put in force by it: {back}"


def _name(entry: Entry) -> str:
    return f"{entry.number:06}-{entry.id}.json"


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def _spell(entry: Entry) -> bytes:
    policy_set = entry.policy_set
    content: dict[str, Any] = {
        "format": _FORMAT,
        "number": entry.number,
        "id": entry.id,
        "at": entry.at.isoformat(),
        "cause": str(entry.cause),
        "note": entry.note,
        "policies": str(entry.policies),
        "decision": entry.decision,
        "hosts": list(entry.hosts),
        "rules": asdict(entry.rules),
        "over": entry.over,
        "of": entry.of,
        "canary": {"functions": list(entry.functions), "share": entry.share},
        "set": {
            "root": str(policy_set.root),
            "shown": policy_set.shown,
            "rego_version": policy_set.rego_version,
            "digest": policy_set.digest,
            "modules": dict(policy_set.modules),
            "data": policy_set.data,
        },
    }
    with collector_paused():
        body = "".join(text.in_pieces(content)).encode("utf-8", "surrogateescape")
    return b"%s\n%s\n" % (hashlib.sha256(body).hexdigest().encode(), body)


def _read(path: Path) -> Entry:
    digest, _, body = path.read_bytes().partition(b"\n")
    body = body.removesuffix(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("it is damaged: its content does not have the hash in its first line")
    with collector_paused():
        content: Any = text.loads(body.decode("utf-8", "surrogateescape"))
    written = content.get("format", "without a number")
    if written != _FORMAT:
        raise ValueError(f"it has the format {written}, of another version of Palisade")
    kept: Mapping[str, Any] = content["set"]
    modules: Mapping[str, str] = kept["modules"]
    data: Value = kept["data"]
    return Entry(
        number=content["number"],
        id=content["id"],
        at=datetime.fromisoformat(content["at"]).astimezone(UTC),
        cause=Cause(content["cause"]),
        note=content["note"],
        policy_set=PolicySet(
            root=Path(kept["root"]),
            modules=MappingProxyType(modules),
            tests=MappingProxyType({}),
            data=data,
            digest=kept["digest"],
            rego_version=kept["rego_version"],
            shown=kept["shown"],
        ),
        policies=Path(content["policies"]),
        decision=content["decision"],
        hosts=tuple(content["hosts"]),
        rules=RuleCounts(**content["rules"]),  # once without `conditional`: such were counted as residual
        over=content["over"],
        of=content["of"],
        functions=tuple(content["canary"]["functions"]),
        share=content["canary"]["share"],
    )
