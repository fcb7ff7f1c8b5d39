"""What a backend is: it takes revisions, and evaluates their decision on inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from datetime import datetime

from palisade.decide.decision import FORBIDDEN
from palisade.policy.revisions import Revision
from palisade.rego.errors import EvalError
from palisade.rego.values import Value


class BackendError(EvalError):
    """The backend gave no decision, through no fault of the policy: it is down, slow, or answers nonsense.

    `status` is the HTTP status of the denial that follows.
    """

    def __init__(self, code: str, message: str, status: int = FORBIDDEN) -> None:
        super().__init__(code, message)
        self.status = status


class BackendSetupError(Exception):
    """The backend cannot be used on this machine, or with these settings: why, and what to do."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A value, and the id by which the backend's own decision log names the decision."""

    value: Value
    id: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a backend is. `problem` is a sentence for people; empty where all is well."""

    kind: str
    """The word for the backend in palisade.yaml."""
    problem: str = ""
    address: str = ""
    """Where it serves; empty for one that runs in the engine."""
    since: datetime | None = None
    """Since when it is so, where that is known."""


class Backend(ABC):
    """Belongs to one event loop. Use as an asynchronous context manager."""

    async def __aenter__(self) -> Backend:
        return self

    @abstractmethod
    async def __aexit__(self, *_: object) -> None:
        """Releases what the backend holds."""

    @abstractmethod
    async def publish(self, revision: Revision) -> None:
        """Makes the revision ready to be asked; it is put in force only after that.

        Raises `rego.CompileError` where the backend refuses the policies. One that cannot be reached is no
        such refusal: then nothing is raised, `health` tells of it, and the backend tries again by itself.
        """

    async def prepare(self, revision: Revision) -> None:
        """Does what takes long before the first request is asked about. The sidecars are offered the revision
        when it is done, or after a moment. By default nothing."""
        return

    @abstractmethod
    def retain(self, revisions: Iterable[str]) -> None:
        """Of all revisions only these, by their ids, may still be asked."""

    @abstractmethod
    def evaluate(
        self, revision: Revision, function: str, document: Value
    ) -> Value | Awaitable[Value | Logged]:
        """The value of the revision's decision rule for an input; UNDEFINED where it has none.

        `function` is the one that is called. What may wait is awaitable, so that other decisions go on
        meanwhile. Raises `rego.EvalError`, of which BackendError is one.
        """

    @property
    @abstractmethod
    def health(self) -> Health:
        """How it is, as far as is known without asking."""
