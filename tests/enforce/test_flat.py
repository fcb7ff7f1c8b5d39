"""However rules tell requests apart, one request is asked about as much by a hundred of them as by ten."""

from __future__ import annotations

from typing import Any

import pytest
from lowered import subject_of

from palisade import rego
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


def asked(monkeypatch: pytest.MonkeyPatch, issuers: Issuers, count: int, form: str, path: str) -> int:
    """By how many of Envoy's matchers the sidecar tells that the last of so many rules holds."""
    numbers = [str(1000 + number) for number in range(count)]
    rules = "\n".join(
        f'allow if {{ {form.format(number)}; http.method in {{"GET", "m{number}"}} }}' for number in numbers
    )
    head = "package p\nimport input.attributes.request.http\n"
    snapshot = subject_of(rego.compile({"p.rego": head + rules}), (), issuers).enforcement.snapshot
    number = numbers[-1]
    http = {"method": "GET", "path": path.format(number), "host": f"host{number}:80"}
    http["headers"] = {":method": "GET", "x-key": f"key{number}"}
    document = {"attributes": {"request": {"http": http}}}
    found: list[Any] = []
    single = matchers._single

    def counted(*given: Any) -> bool:
        found.append(given)
        return single(*given)

    with monkeypatch.context() as patched:
        patched.setattr(matchers, "_single", counted)
        told = decided(snapshot, sight(snapshot, document))
    assert told.allowed
    assert not told.asks
    return len(found)


@pytest.mark.parametrize(("form", "path"), FORMS)
def test_as_much_is_asked_of_many_rules(
    monkeypatch: pytest.MonkeyPatch, issuers: Issuers, form: str, path: str
) -> None:
    """A list of patterns took each of them 0.3 us, of expressions 20."""
    few, many = (asked(monkeypatch, issuers, count, form, path) for count in (10, 100))
    assert many <= few + 4
