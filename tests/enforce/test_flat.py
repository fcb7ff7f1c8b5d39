"""However rules tell requests apart, one request is asked about as much by a hundred of them as by ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from lowered import PROVIDERS, subject_of

from palisade import rego
from palisade.decide.input import JWT_METADATA
from palisade.explain.sidecar import decided, matchers, sight
from palisade.testing.equivalence import Issuers

FORMS = (
    ('http.path == "/things/{}"', "/things/{}"),
    ('split(http.path, "?")[0] == "/things/{}"', "/things/{}?a=b"),
    ('trim_suffix(split(http.path, "?")[0], "/") == "/things/{}"', "/things/{}/"),
    ('trim_prefix(split(http.path, "?")[0], "/api") == "/things/{}"', "/api/things/{}"),
    ('regex.replace(http.path, "[?].*", "") == "/things/{}"', "/things/{}?a"),
    ('startswith(split(http.path, "?")[0], "/things/{}/")', "/things/{}/a"),
    ('glob.match("/things/{}/*", ["/"], http.path)', "/things/{}/a"),
    ('regex.match("^/things/{}/[0-9]+$", http.path)', "/things/{}/1"),
    ('input.parsed_path == ["things", "{}"]', "/things/{}"),
    ('input.parsed_path = ["things", "{}", _]', "/things/{}/a"),
    ('input.parsed_path[0] == "things"; input.parsed_path[1] == "{}"', "/things/{}/a/b"),
    ('input.parsed_path[0] in {{"a", "things"}}; input.parsed_path[1] == "{}"', "/things/{}"),
    ('input.parsed_path[0] == "{}"', "/{}/a"),
    ('concat("/", input.parsed_path) == "things/{}"', "/things/{}"),
    ('split(http.host, ":")[0] == "host{}"', "/"),
    ('http.headers["x-key"] == "key{}"', "/"),
    ('trim_prefix(http.headers["x-key"], "key") == "{}"', "/"),
)


DENIALS = (
    'http.path == "/things/{}"; not "r{}" in input.identity.claims.roles',
    'startswith(http.path, "/things/{}"); not http.headers["x-key"] in {"a", "k{}"}; not http.headers.b',
    'http.headers["x-key"] == "key{}"; not startswith(http.path, "/other/{}")',
)


def asked(monkeypatch: pytest.MonkeyPatch, issuers: Issuers, rules: Sequence[str], path: str) -> int:
    """By how many of Envoy's matchers the sidecar tells what becomes of a request to the path of the last."""
    head = "package p\nimport input.attributes.request.http\n"
    policy = rego.compile({"p.rego": head + "\n".join(rules)})
    snapshot = subject_of(policy, PROVIDERS[:1], issuers).enforcement.snapshot
    http = {"method": "GET", "path": path.format(LAST), "host": f"host{LAST}:80"}
    http["headers"] = {":method": "GET", "x-key": f"key{LAST}"}
    metadata = {"filterMetadata": {JWT_METADATA: {"corp": {"roles": ["other"]}}}}
    document = {"attributes": {"request": {"http": http}, "metadataContext": metadata}}
    found: list[Any] = []
    single = matchers._single

    def counted(*given: Any) -> bool:
        found.append(given)
        return single(*given)

    with monkeypatch.context() as patched:
        patched.setattr(matchers, "_single", counted)
        told = decided(snapshot, sight(snapshot, document))
    assert not told.asks
    assert told.allowed == (DENYING not in rules)
    return len(found)


MESSAGES = 'allow := {"allowed": count(deny) == 0, "body": concat(", ", deny)}'


ANSWERS = (
    'http.path == "/things/{}"',
    'http.path == "/things/{}"; http.method in {"GET", "m{}"}',
    'split(http.host, ":")[0] == "host{}"; not http.headers.b',
    'startswith(http.path, "/things/{}")',
)


LAST = 1999
DENYING = "allow if not deny"


@pytest.mark.long
@pytest.mark.parametrize(("form", "path"), FORMS)
def test_as_much_is_asked_of_many_rules(
    monkeypatch: pytest.MonkeyPatch, issuers: Issuers, form: str, path: str
) -> None:
    """A list of patterns took each of them 0.3 us, of expressions 20."""
    few, many = (
        [
            f'allow if {{ {form.format(number)}; http.method in {{"GET", "m{number}"}} }}'
            for number in range(LAST, LAST - count, -1)
        ]
        for count in (10, 100)
    )
    limit = asked(monkeypatch, issuers, few, path) + 4
    assert asked(monkeypatch, issuers, many, path) <= limit


@pytest.mark.parametrize("form", DENIALS)
def test_as_much_is_asked_of_many_denials(
    monkeypatch: pytest.MonkeyPatch, issuers: Issuers, form: str
) -> None:
    """Each was compared in turn where all of them, which need a token, ask for it first."""
    few, many = (
        [DENYING, *(f"deny if {{ {form.replace('{}', str(LAST - at))} }}" for at in range(count))]
        for count in (10, 100)
    )
    limit = asked(monkeypatch, issuers, few, "/things/{}") + 4
    assert asked(monkeypatch, issuers, many, "/things/{}") <= limit


@pytest.mark.parametrize("form", ANSWERS)
def test_as_much_is_asked_of_many_answers(
    monkeypatch: pytest.MonkeyPatch, issuers: Issuers, form: str
) -> None:
    """Rules that answer each otherwise may not change places: one after the other was asked. Of the names of
    answers the slot behind asks for some at each place."""
    head = 'allow := {"allowed": true, "headers": {"x-number": "{}"}} if { '
    few, many = (
        [(head + form + " }").replace("{}", str(LAST - at)) for at in range(count)] for count in (10, 100)
    )
    limit = asked(monkeypatch, issuers, few, "/things/{}") + 16
    assert asked(monkeypatch, issuers, many, "/things/{}") <= limit


def test_as_much_is_asked_of_many_messages(monkeypatch: pytest.MonkeyPatch, issuers: Issuers) -> None:
    """What is neither allowed nor denied was left open behind both, so each message's condition was asked."""
    form = 'deny contains "no {}" if { http.path == "/things/{}"; not "r{}" in input.identity.claims.roles }'
    few, many = ([MESSAGES, *(form.replace("{}", str(at)) for at in range(count))] for count in (10, 100))
    assert asked(monkeypatch, issuers, many, "/other") <= asked(monkeypatch, issuers, few, "/other") + 4
