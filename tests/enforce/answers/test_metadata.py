"""What answers lay down for filters behind is, with values of the request too, what the engine would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from answering import compared, decider, place
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.composite.v3.composite_pb2 import Composite, ExecuteFilterAction
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from signed_tokens import SECRET, signed
from stand import Sent, Stand

from palisade.enforce.envoy.compile import BODY
from palisade.enforce.envoy.matchers.predicate import typed
from palisade.testing.certificates import TestAuthority

POLICY = """package p

import input.attributes.request.http

bearer := split(http.headers.authorization, " ")[1]

token := t if [true, _, t] = io.jwt.decode_verify(bearer, {"secret": "SECRET"})

user := http.headers["x-user"]

deny contains sprintf("%s is wrong", [user]) if http.method != "GET"

deny contains "wrong" if user == "eve"

many contains name if {
	some name in {"x-a", "x-b", "x-c", "x-d", "x-e", "x-f"}
	not http.headers[name]
}

many contains sprintf("by %s", [input.peer]) if http.method == "POST"

default allow := false

allow := {
	"allowed": false, "dynamic_metadata": {"why": {"by": $"<{http.path}>", "n": [1, 2.5, user, true]}},
} if startswith(http.path, "/why")

allow := {"allowed": false, "body": concat(",", many)} if startswith(http.path, "/many")

allow := {"allowed": true, "dynamic_metadata": {
	"user": user, "fixed": {"n": null, "of": []}, "text": "a \\"b\\" ü",
	"deep": {"token": {"sub": token.sub, "tail": split(token.sub, "-")[1]}, "1": [lower(user)]},
}} if startswith(http.path, "/all")

allow := {"allowed": true, "dynamic_metadata": {"user": {"name": user, "of": {}}}} if {
	startswith(http.path, "/empty")
}

allow := {
	"allowed": true, "dynamic_metadata": {"peer": {"is": input.peer, "last": split(input.peer, "/")[4]}},
} if startswith(http.path, "/peer")

allow := {
	"allowed": false, "body": concat(",", deny), "dynamic_metadata": {"deny": concat(",", deny), "u": user},
} if startswith(http.path, "/deny")
""".replace("SECRET", SECRET)


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority("callers")


@pytest.fixture(scope="module")
def callers(authority: TestAuthority) -> Iterator[Stand]:
    with Stand(authority) as running:
        yield running


def shown() -> TypedExtensionConfig:
    """In place of what reads bodies: tells the client what stands in the metadata of ext_authz."""
    config = HeaderMutation()
    for key in ("user", "fixed", "text", "deep", "why", "peer", "deny", "u"):
        option = config.mutations.response_mutations.add().append
        option.header.key = f"x-{key}"
        option.header.value = f"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:{key})%"
        option.keep_empty_value = True
    slot, filter_ = ExtensionWithMatcher(), TypedExtensionConfig(name="shown")
    slot.extension_config.name = "shown"
    slot.extension_config.typed_config.Pack(Composite())
    filter_.typed_config.Pack(config)
    slot.xds_matcher.on_no_match.action.CopyFrom(typed("shown", ExecuteFilterAction(typed_config=filter_)))
    found = TypedExtensionConfig(name=BODY)
    found.typed_config.Pack(slot)
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    ("paths", "by_the_engine"),
    [(("/all", "/empty", "/peer", "/other"), 24), (("/deny", "/why", "/many"), 2)],
    ids=("allowed", "denied"),
)
def test_what_the_request_brings_is_laid_down(
    callers: Stand, authority: TestAuthority, paths: tuple[str, ...], by_the_engine: int
) -> None:
    """Filters behind get the same from the sidecar as from the engine, at any depth, and so does the log. An
    empty text is the engine's to put in, and so are two messages whose order hangs on the request."""
    caller = authority.issue(uris=("spiffe://mesh/ns/shop/cart",))
    tokens = [signed(each, "secret", "HS256", "{}") for each in ('{"sub": "a-b"}', '{"sub": "a-"}')]
    asked = [
        Sent(method, f"{path}?{at}%25{token[-4:]}", (("x-user", user), ("authorization", f"Bearer {token}")))
        for method in ("GET", "POST")
        for path in paths
        for at, user in enumerate(("Ann", 'a"\\b', "eve", "%REQ(x)%"))
        for token in tokens
    ]
    # Of a denial that the sidecar gives, filters in front see nothing.
    instead = [shown()] if "/all" in paths else []
    found = compared(callers, POLICY, asked, caller, instead)
    left = [place(each)[0] for each in found if decider(each) == "residual"]
    assert len(left) == by_the_engine, left
