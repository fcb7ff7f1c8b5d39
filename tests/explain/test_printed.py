"""What is printed of a sidecar's configuration holds no secret, and all else of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import MessageToDict, ParseDict

from palisade.decide.mask import REDACTED, Mask
from palisade.explain.compiled import compiled
from palisade.explain.printed import plain, response, responses
from palisade.policy import revisions, sets
from palisade.policy.inventory import Address, Function, Inventory
from palisade.xds import Snapshot

HEAD = "package palisade.identity\n\nimport input.attributes.request.http\n"


def snapshot_of(folder: Path, source: str, **data: Any) -> Snapshot:
    (folder / "allow.rego").write_text(HEAD + source)
    (folder / "data.json").write_text(json.dumps(data))
    function = Function("orders", Address("127.0.0.1", 1), Address("127.0.0.1", 2))
    inventory = Inventory(folder, folder, {"orders": function})
    return compiled(revisions.build(inventory, sets.load(folder, shown="policies")), function).snapshot


def test_what_holds_no_secret_is_printed_as_it_is_sent(tmp_path: Path) -> None:
    snapshot = snapshot_of(
        tmp_path,
        "default allow := false\n"
        'allow if { http.method in {"GET", "PUT", "POST", "HEAD", "PATCH"}; http.path == "/a" }\n'
        'allow if startswith(http.headers["x-tenant"], "t")\n',
    )
    read_back = ParseDict(plain(snapshot, Mask()), DiscoveryResponse())
    assert MessageToDict(read_back) == MessageToDict(response(snapshot))
    assert [each.resources[0].value for _, each in responses(snapshot)] == [
        each.value for each in response(snapshot).resources
    ]


def test_constants_for_credentials_are_masked_however_they_are_compared(tmp_path: Path) -> None:
    """In maps, one by one, by prefix, by pattern, against another value, and in the query."""
    snapshot = snapshot_of(
        tmp_path,
        """
default allow := false
allow if http.headers["x-api-key"] in data.keys
allow if http.headers["x-api-key"] == "HUSH-one"
allow if startswith(http.headers.authorization, "HUSH-prefix")
allow if regex.match("^HUSH-[0-9]+$", http.headers.cookie)
allow if http.headers["x-mine"] == "HUSH-mine"
allow if http.headers["x-api-key"] == sprintf("HUSH-%s", [http.headers["x-user"]])
allow if input.parsed_query.token[0] == "HUSH-token"
allow if http.headers["x-user"] == "told"
""",
        keys=[f"HUSH{number}" for number in range(9)],
    )
    raw = response(snapshot).SerializeToString()
    for secret in (b"HUSH-one", b"HUSH-prefix", b"HUSH-mine", b"HUSH-token", b"HUSH8"):
        assert secret.replace(b"-", b"") in raw.replace(b"\\-", b"").replace(b"-", b"")
    shown = json.dumps(plain(snapshot, Mask().also(headers=frozenset(("x-mine",)))))
    assert "HUSH" not in shown
    assert REDACTED in shown
    assert "told" in shown


def test_symmetric_keys_and_tokens_are_masked() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    keys = json.dumps({"keys": [{"kty": "oct", "k": "aHVzaA"}, {"kty": "EC", "x": "open"}]})
    config = {
        "name": "palisade.identity",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"corp": {"issuer": token, "local_jwks": {"inline_string": keys}}},
        },
    }
    shown = json.dumps(plain(Snapshot.of("1", [ParseDict(config, TypedExtensionConfig())]), Mask()))
    assert "aHVzaA" not in shown
    assert token not in shown
    assert "open" in shown
