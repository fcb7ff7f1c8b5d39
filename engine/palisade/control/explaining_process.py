"""The process that explains decisions: questions on standard input, answers on standard output.

It is started by `explaining`, ends with it, and has no say in any decision. Frames are pickled, and led by
their length: both ends are the engine's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import pickle
import sys
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from palisade.decide.event import Event
from palisade.decide.mask import Mask
from palisade.explain.brief import Brief, Briefing
from palisade.explain.explainer import Explainer
from palisade.policy import revisions
from palisade.policy.inventory import Address, DecisionLogSettings, Function, Inventory
from palisade.policy.revisions import Revision
from palisade.policy.sets import PolicySet
from palisade.rego import Network
from palisade.rego.values import Value

log = logging.getLogger(__name__)

COMMAND = "import gc; gc.disable(); from palisade.control.explaining_process import main; main()"
"""What Python runs. Run as a module, it would be another one than the one that its messages are of. To look
for unused objects while modules are read takes a fifth longer, and finds none."""

MOST_SETUPS = 8
"""So many revisions, the last ones, the process knows how to compile."""

_LENGTH = 4
_PRIORITY = 19  # the lowest there is: decisions go first
_MOST_REVISIONS = 4
_NOWHERE = Address("127.0.0.1", 1)


@dataclass(frozen=True, slots=True)
class Setup:
    """What explanations by a revision need of it."""

    id: str
    decision: str
    rego_version: int
    hosts: tuple[str, ...]
    functions: dict[str, str]
    """What becomes of escaped slashes, by the functions' names."""
    modules: dict[str, str]
    data: Value
    digest: str
    shown: str
    mask_headers: frozenset[str]
    mask_parameters: frozenset[str]

    @classmethod
    def of(cls, revision: Revision) -> Setup:
        """That of a revision."""
        inventory, policy_set = revision.inventory, revision.policy_set
        return cls(
            id=revision.id,
            decision=inventory.decision,
            rego_version=policy_set.rego_version,
            hosts=tuple(inventory.network.hosts),
            functions={name: str(each.escaped_slashes) for name, each in inventory.functions.items()},
            modules=dict(policy_set.modules),
            data=policy_set.data,
            digest=policy_set.digest,
            shown=policy_set.shown,
            mask_headers=inventory.decision_log.mask_headers,
            mask_parameters=inventory.decision_log.mask_parameters,
        )

    def revision(self) -> Revision:
        """The revision, compiled anew. Raises what compiling raises."""
        nothing: dict[str, str] = {}
        inventory = Inventory(
            file=Path("palisade.yaml"),
            policies=Path(),
            functions=MappingProxyType(
                {
                    name: Function(name, _NOWHERE, _NOWHERE, escaped_slashes=each)  # type: ignore[arg-type]
                    for name, each in self.functions.items()
                }
            ),
            decision=self.decision,
            rego_version=self.rego_version,
            decision_log=DecisionLogSettings(
                mask_headers=self.mask_headers, mask_parameters=self.mask_parameters
            ),
            network=Network(self.hosts),
        )
        policy_set = PolicySet(
            root=Path(),
            modules=MappingProxyType(self.modules),
            tests=MappingProxyType(nothing),
            data=self.data,
            digest=self.digest,
            rego_version=self.rego_version,
            shown=self.shown,
        )
        return replace(revisions.build(inventory, policy_set), id=self.id)


@dataclass(frozen=True, slots=True)
class Question:
    """An entry of the decision log to explain, as it is logged."""

    number: int
    revision: str
    function: str
    event: Event


class Explained:
    """Answers questions by the revisions that it was set up for; the last few stay compiled."""

    def __init__(self) -> None:
        self._setups: dict[str, Setup] = {}
        self._revisions: OrderedDict[str, Revision] = OrderedDict()
        self._briefings: dict[tuple[str, str], Briefing] = {}

    def set_up(self, setup: Setup) -> None:
        """Takes note of a revision; it is compiled when it is asked about."""
        self._setups[setup.id] = setup
        if len(self._setups) > MOST_SETUPS:
            del self._setups[next(iter(self._setups))]

    def answer(self, question: Question) -> Brief:
        """The explanation of an entry."""
        asked = question.revision, question.function
        if asked not in self._briefings:
            revision = self._revision(question.revision)
            explainer = Explainer.of(revision, revision.inventory.function(question.function))
            logged = revision.inventory.decision_log
            mask = Mask().also(headers=logged.mask_headers, parameters=logged.mask_parameters)
            self._briefings[asked] = Briefing(explainer, mask)
        return self._briefings[asked].of(question.event)

    def _revision(self, name: str) -> Revision:
        if name not in self._revisions:
            self._revisions[name] = self._setups[name].revision()
            while len(self._revisions) > _MOST_REVISIONS:
                old, _ = self._revisions.popitem(last=False)
                self._briefings = {key: each for key, each in self._briefings.items() if key[0] != old}
        self._revisions.move_to_end(name)
        return self._revisions[name]


def frame(message: object) -> bytes:
    """A message as it is sent."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(_LENGTH, "big") + content


async def read_frame(stream: asyncio.StreamReader) -> Any:
    """The next message. Raises asyncio.IncompleteReadError at the end."""
    length = int.from_bytes(await stream.readexactly(_LENGTH), "big")
    return pickle.loads(await stream.readexactly(length))  # noqa: S301 - of the engine's own process


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers until there are no more questions. What cannot be explained is answered with None."""
    explained = Explained()
    while length := questions.read(_LENGTH):
        content = questions.read(int.from_bytes(length, "big"))
        message = pickle.loads(content)  # noqa: S301 - of the engine itself
        if isinstance(message, Setup):
            explained.set_up(message)
            continue
        try:
            found: Brief | None = explained.answer(message)
        except Exception:  # an entry that cannot be explained must not end the explaining of all others
            log.exception("a decision of %s could not be explained", message.function)
            found = None
        answers.write(frame((message.number, found)))
        answers.flush()


def main() -> None:
    """The process: what it prints goes to standard error, so that nothing gets among the answers."""
    gc.freeze()
    gc.unfreeze()  # into the oldest generation, without a look at it
    gc.enable()
    os.nice(_PRIORITY)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)
