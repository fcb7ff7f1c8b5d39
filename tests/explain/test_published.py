"""Policies as people publish them are explained: every request, every expression, and as they decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from effort import some
from published import NAMES, read

from palisade.cli.requests.given import Options, asked
from palisade.cli.requests.interface import Sent
from palisade.explain.explainer import Explainer
from palisade.explain.explanation import Where
from palisade.explain.trace import Account
from palisade.policy import revisions
from palisade.policy.inventory import Address, Function, Inventory


def every(account: Account) -> Iterator[Account]:
    yield account
    for expression in account.expressions:
        for inner in expression.because:
            yield from every(inner)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The HMAC key is")
@pytest.mark.parametrize("name", some(NAMES))
def test_every_request_is_explained_in_full(name: str) -> None:
    published = read(name)
    here = Address("127.0.0.1", 1)
    function = Function("orders", here, here)
    functions = MappingProxyType({"orders": function})
    inventory = Inventory(
        Path("palisade.yaml"), Path(name), functions, published.decision, published.rego_version
    )
    explainer = Explainer.of(revisions.build(inventory, published.policy_set), function)
    for sent, _ in published.requests:
        headers = tuple((name.lower(), value) for name, value in sent.headers)
        given = asked(Sent(sent.method, sent.path, headers, sent.body.decode()), Options("orders"), ())
        assert given.document is not None
        found = explainer.explain(given.document, problem=given.problem)
        assert found.where is not Where.UNKNOWN
        assert not any("fault" in note for note in found.notes), found.notes
        accounts = (*([found.account] if found.account else []), *found.nearest)
        assert not any(each.trouble for account in accounts for each in every(account))
        assert found.allowed or accounts or given.problem
        for flip in found.flips:
            assert explainer.decision(flip.document)[1].allowed is not found.allowed
