"""Explanations of policies that fetch what they need: by what other hosts answer now."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from explain_helpers import request
from shared_helpers import serving

from palisade.explain.answers import standing
from palisade.explain.explainer import Explainer
from palisade.explain.explanation import Where
from palisade.policy import inventory_file, revisions
from palisade.policy.revisions import Revision
from palisade.rego.values import Key

POLICY = """package p

fetched(path) := http.send({
	"method": "GET",
	"url": concat("", ["http://%s", path]),
	"force_cache": true,
	"force_cache_duration_seconds": 60,
}).raw_body

allow if input.attributes.request.http.path == fetched(fetched("/first"))

allow if fetched("/missing")
"""

SETTINGS = """policies: ./policies
decision: p/allow
functions:
  orders: {upstream: 127.0.0.1:9, listen: 127.0.0.1:0}
"""


class Answers(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        text = {"/first": "/second", "/second": "/open"}.get(self.path)
        self.send_response(500 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        pass


def revision(folder: Path, address: str, hosts: str) -> Revision:
    (folder / "policies").mkdir()
    (folder / "policies" / "p.rego").write_text(POLICY % address)
    (folder / "palisade.yaml").write_text(f"{SETTINGS}network: {{hosts: [{hosts}]}}\n")
    inventory = inventory_file.load(folder / "palisade.yaml")
    return revisions.build(inventory, revisions.read_set(inventory))


@pytest.mark.parametrize("hosts", ["127.0.0.1", "other.example"])
def test_what_the_engine_asks_ahead_is_asked(tmp_path: Path, hosts: str) -> None:
    """One answer names what is asked next; what fails is left out; hosts not listed are not asked."""
    Answers.asked = []
    with serving(Answers) as address:
        built = revision(tmp_path, address, hosts)
        function = built.inventory.function("orders")
        sent = standing(built, function)
    explainer = Explainer.of(built, function, sent=sent)
    found = explainer.explain(request(target="/open"))
    if hosts == "other.example":
        assert (Answers.asked, sent) == ([], {})
        assert not found.allowed
        return
    assert sorted(Answers.asked) == ["/first", "/missing", "/second"]
    assert {each.value["url"].rpartition("/")[2] for each in sent} == {"first", "second"}
    assert all(isinstance(each, Key) for each in sent)
    assert found.allowed
    assert found.where is Where.NATIVE
