"""Ask policies: sources in, the bindings of a query out, by way of the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from palisade import rego
from palisade.rego import ir
from palisade.rego.check import check, check_query
from palisade.rego.parser import parse_module, parse_query
from palisade.rego.plan import Entrypoint, plan

Ask = Callable[..., Any]
Planned = Callable[..., ir.Policy]


def _named(modules: str | Sequence[str]) -> dict[str, str]:
    sources = [modules] if isinstance(modules, str) else modules
    return {f"m{index}.rego": source for index, source in enumerate(sources)}


@pytest.fixture
def ask() -> Ask:
    """`ask(modules, path, input, data)`: the document at the path as plain JSON, or "undefined"."""

    def answer(modules: str | Sequence[str], path: str, input: Any = rego.UNDEFINED, data: Any = None) -> Any:
        policy = rego.compile(_named(modules), data=data or {})
        value = policy.evaluate(path, input)
        return "undefined" if value is rego.UNDEFINED else rego.to_json(value)

    return answer


@pytest.fixture
def bindings() -> Ask:
    """`bindings(modules, query, input, data)`: the results of a query, each as values by variable."""

    def answer(
        modules: str | Sequence[str], query: str, input: Any = rego.UNDEFINED, data: Any = None
    ) -> Any:
        return rego.compile(_named(modules), data=data or {}).query(query, input)

    return answer


@pytest.fixture
def planned() -> Planned:
    """`planned(modules, query)`: the plan itself."""

    def make(modules: str | Sequence[str], query: str, *, prints: bool = False) -> ir.Policy:
        checked = check([parse_module(source, name) for name, source in _named(modules).items()])
        body = check_query(parse_query(query), checked)
        return plan(checked, [Entrypoint("query", body)], prints=prints)

    return make
