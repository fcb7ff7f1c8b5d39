"""OPA's conformance cases, and questions made of them in which the request brings what a case states.

A case asks what follows from documents and constants that are all known, which says nothing of what is
decided before they are. So its base documents, and constants of its rules, move into the request, and what a
request brings is changed at random. The answer is the evaluator's then: the case's own holds for one only.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

from palisade.rego import text

Case = dict[str, Any]

_ROOT = Path(__file__).resolve().parents[2]

_QUERY = re.compile(r"(data(?:\.\w+)+) = (\w+)")
_PACKAGE = re.compile(r"^package (\w+)", re.MULTILINE)
_CONSTANT = re.compile(
    r'"(?:[^"\\\n]|\\.)*"'
    r'|(?<![\w."])-?\b\d+(?:\.\d+)?\b'
    r"|\b(?:true|false|null)\b"
    r"|[\[{][^\[\]\n{}|:]*[\]}]"
)
"""What is written as JSON or as a set, in one line and not nested. Some hits are none, as in a longer string:
then nothing is moved, or what comes of it does not compile."""

_INPUT = re.compile(r'(?<![\w."])input\b')
_ODD = (None, True, False, 0, 1, -1, 1.5, "", "a", "foo", "1", "é")
_ODD += ([], {}, ["a"], [1, 2], {"a": 1}, {"a": {"b": 1}})


def cases() -> tuple[Case, ...]:
    """All of them; none where they are not on this machine. Raises FileNotFoundError for that in CI."""
    return tuple(case for each in cases_by_file().values() for case in each)


@cache
def cases_by_file() -> Mapping[str, Sequence[Case]]:
    """As `cases`, by the names of their files."""
    named = os.environ.get("PALISADE_CONFORMANCE")
    folder = Path(named) if named else _ROOT.parent / "shared" / "conformance"
    files = sorted((folder / "cases").glob("*.json"))
    if not files and os.environ.get("CI") == "true":
        raise FileNotFoundError(f"the conformance cases are not at {folder}")
    return {file.stem: text.loads(file.read_text(encoding="utf-8"))["cases"] for file in files}


@dataclass(frozen=True)
class ConformanceCases:
    """Some of OPA's cases, and the notes of those that may fail. To run each as a test of its own would take
    pytest longer than what is tested."""

    cases: Sequence[Case]
    allowed: Collection[str]

    def hold(self, check: Callable[[Case], None]) -> None:
        """Checks each. Raises a group of what those came to that fail, each with its case's note, and of an
        error for each that may fail and does not."""
        failed: list[BaseException] = []
        for case in self.cases:
            note = case["note"]
            try:
                check(case)
            except (Exception, pytest.fail.Exception) as error:
                if note not in self.allowed:
                    error.add_note(f"in the case {note}")
                    failed.append(error)
            else:
                if note in self.allowed:
                    failed.append(AssertionError(f"the case {note} is listed as one that fails, and passes"))
        if failed:
            raise BaseExceptionGroup(f"{len(failed)} of {len(self.cases)} cases", failed)


@dataclass(frozen=True)
class Question:
    """What a case asks for, the dotted `path`, and what it finds there. `document` is the input."""

    path: str
    wanted: Any
    modules: Mapping[str, str]
    data: Mapping[str, Any]
    document: Mapping[str, Any]

    def below(self, place: str) -> Question:
        """The same, where rules read the document at another place than `input`."""
        moved = {file: _INPUT.sub(place, source) for file, source in self.modules.items()}
        return replace(self, modules=moved)


def questions(case: Case, random: Random, constants: int) -> Iterator[Question]:
    """The case's own, and the same with its base documents in the request; and for each as many more in which
    one to three constants of the rules are there too. None of a case whose query asks for more than a rule,
    or whose input JSON cannot say."""
    asked = _QUERY.fullmatch(case["query"])
    document = case.get("input", {})
    data = case.get("data") or {}
    if not asked or not case.get("want_result") or "input_term" in case:
        return
    if not isinstance(document, dict) or not isinstance(data, dict):
        return
    modules = {f"case-{number}.rego": source for number, source in enumerate(case["modules"])}
    own = Question(asked[1], case["want_result"][0][asked[2]], modules, data, document)
    for question in (own, *_documents_brought(own)):
        yield question
        for _ in range(constants):
            yield from _constants_brought(question, random)


def _documents_brought(question: Question) -> Iterator[Question]:
    packages = {match[1] for source in question.modules.values() if (match := _PACKAGE.search(source))}
    names = [name for name in question.data if name not in packages and name.isidentifier()]
    if not names:
        return
    reference = re.compile(rf"\bdata\.({'|'.join(names)})\b")
    modules = {file: reference.sub(r"input.\1", source) for file, source in question.modules.items()}
    if modules != question.modules:
        moved = {name: question.data[name] for name in names}
        rest = {name: value for name, value in question.data.items() if name not in moved}
        yield replace(question, modules=modules, data=rest, document={**moved, **question.document})


def _constants_brought(question: Question, random: Random) -> Iterator[Question]:
    modules, document = dict(question.modules), dict(question.document)
    for number in range(random.choice((1, 1, 2, 3))):
        file = random.choice(list(modules))
        hits = list(_CONSTANT.finditer(modules[file]))
        if not hits:
            continue
        hit, name = random.choice(hits), f"brought_{number}"
        is_set = hit[0].startswith("{") and hit[0] != "{}"
        try:
            document[name] = json.loads(f"[{hit[0][1:-1]}]" if is_set else hit[0])
        except ValueError:  # variables within, or no constant at all
            continue
        there = f"{{each | some each in input.{name}}}" if is_set else f"input.{name}"
        modules[file] = modules[file][: hit.start()] + there + modules[file][hit.end() :]
    if modules != question.modules:
        yield replace(question, modules=modules, document=document)


def changed(question: Question, random: Random) -> dict[str, Any]:
    """The document with one to three of its parts replaced, removed or added to."""
    document = deepcopy(dict(question.document))
    near = [*_parts(document), question.wanted, *_parts(question.data)]
    for _ in range(random.choice((1, 1, 2, 3))):
        holder = random.choice([each for each in _parts(document) if isinstance(each, dict | list)])
        value = deepcopy(random.choice(near if random.random() < 0.6 else _ODD))
        at = random.choice(_places(holder))
        if random.random() < 0.3 and at in _places(holder)[:-1]:
            del holder[at]
        elif isinstance(holder, list) and at == len(holder):
            holder.append(value)
        else:
            holder[at] = value
    return document


def is_json(value: Any) -> bool:
    """Whether JSON can say it: numbers of cases are beyond what a float holds."""
    return all(not isinstance(each, float) or math.isfinite(each) for each in _parts(value))


def _places(holder: dict[str, Any] | list[Any]) -> Sequence[Any]:
    """Where something is, and last where nothing is yet."""
    return (*holder, "a") if isinstance(holder, dict) else range(len(holder) + 1)


def _parts(value: Any) -> list[Any]:
    found = [value]
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            found += _parts(each)
    return found
