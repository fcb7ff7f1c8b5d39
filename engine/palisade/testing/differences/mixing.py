"""Further requests made of those that were drawn, which costs less than to draw as many."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from palisade.rego.values import to_json
from palisade.testing.equivalence.fitting import fit
from palisade.testing.equivalence.requests import Request
from palisade.testing.equivalence.shape import sendable
from palisade.testing.equivalence.subject import Recipient
from palisade.testing.equivalence.vocabulary import Vocabulary
from palisade.testing.equivalence.walks import MEMBER, Place


class Mixing:
    """Puts parts of one request into another, and constants where a policy looks. Equal seeds mix alike."""

    def __init__(self, vocabulary: Vocabulary, subject: Recipient, seed: int) -> None:
        self._chooser = random.Random(seed)  # noqa: S311 -- what is drawn is test data
        self._places = [(place, values) for place, values in vocabulary.places.items() if values]
        self._subject = subject

    def mixed(self, batch: Sequence[Request]) -> Iterator[Request]:
        """Two for each request of the batch."""
        for request in batch:
            yield self._crossed(request, self._chooser.choice(batch))
            if self._places:
                yield self._planted(request)

    def _crossed(self, request: Request, other: Request) -> Request:
        path, query = request.target.partition("?")[0], "".join(other.target.partition("?")[1:])
        choices: list[Request] = [
            replace(request, target=path + query),
            replace(request, headers=other.headers),
            replace(request, token=other.token),
        ]
        if self._subject.sees_callers:
            choices.append(replace(request, caller=other.caller))
        return self._chooser.choice(choices)

    def _planted(self, request: Request) -> Request:
        parts: dict[Place, Any] = {}
        for _ in range(self._chooser.choice((1, 1, 2))):
            place, values = self._chooser.choice(self._places)
            known = tuple(0 if step == MEMBER else step for step in place)
            parts[known] = to_json(self._chooser.choice(values))
        _, mark, query = request.target.partition("?")
        planted = fit(request, parts, self._subject)
        if mark and "?" not in planted.target:
            planted = replace(planted, target=f"{planted.target}?{query}")
        return sendable(planted)
