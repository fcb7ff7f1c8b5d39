"""Generated policies mean to regopy, an independent implementation, what they mean here.

Where the two differ, OPA's documentation decides. Known differences, in which OPA is followed here:

* regopy leaves an undefined operand before it looks at the others; OPA evaluates operands in turn, so that a
  conflict in an earlier one ends the query. What ends in an error on either side is not compared.
* regopy finds `"a" < 0` true; in Rego numbers come before strings. So only `==` and `!=` compare any operands
  with each other here.
* regopy sorts a set by its members' text, `["a"]` before `[]`; in Rego the shorter array comes first. Lists
  are compared without their order, as a set stands as a list in results.
* regopy writes a space behind the commas of keys that are objects or arrays; OPA writes JSON, without. Such
  keys are compared as what their text says.
* regopy rejects some comprehensions whose body starts with `some k, v in`, and crashes on a few policies: no
  answer is not compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from any_policies import documents, policies
from effort import examples
from hypothesis import HealthCheck, assume, example, given, settings
from second_opinion import SecondOpinion

from palisade import rego
from palisade.rego import text

pytest.importorskip("regopy")


@pytest.fixture(scope="module")
def second_opinion() -> Iterator[SecondOpinion]:
    with SecondOpinion() as opinion:
        yield opinion


def test_the_second_opinion_answers(second_opinion: SecondOpinion) -> None:
    """Without answers the comparison below would compare nothing."""
    source = "package p\n\nr0 if input.x == 1\n\nr1 := data.base.y\n"
    paths = ["data.p.r0", "data.p.r1"]
    assert second_opinion.ask(source, {"base": {"y": 2}}, {"x": 0}, paths) == {paths[0]: [], paths[1]: [2]}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(source=policies(3, ("==", "!=")), asked=documents(), base=documents())
@example('package p\n\nr0[data.base.user] := "a"\n', {}, {"user": {"user": "a", "role": "a"}})
def test_generated_policies_mean_the_same(
    second_opinion: SecondOpinion, source: str, asked: dict[str, Any], base: dict[str, Any]
) -> None:
    try:
        policy = rego.compile({"p.rego": source}, {"base": base})
    except rego.CompileError:
        assume(False)
        raise
    rules = sorted(set(re.findall(r"^(?:default )?(r\w+)(?![\w(])", source, re.MULTILINE)))
    theirs = second_opinion.ask(source, {"base": base}, asked, [f"data.p.{rule}" for rule in rules])
    for path, wanted in theirs.items():
        try:
            found = [binding["x"] for binding in policy.query(f"x = {path}", asked)]
        except rego.EvalError:
            continue
        assert _unordered(found) == _unordered(wanted), path


def _unordered(value: Any) -> str:
    """The value as text, lists sorted at every depth."""
    return text.dumps(_sorted(rego.from_python(value)))


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=text.dumps)
    if isinstance(value, dict):
        return {_compact(name): _sorted(item) for name, item in value.items()}
    return value


def _compact(name: str) -> str:
    """The key's text without spaces, where it is that of an object or array."""
    try:
        return json.dumps(json.loads(name), separators=(",", ":")) if name[:1] in ("{", "[") else name
    except ValueError:
        return name
