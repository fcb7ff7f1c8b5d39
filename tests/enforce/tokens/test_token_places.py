"""However a policy takes the token out of its header, Envoy finds the same one, or asks the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from effort import some
from signed_tokens import SECRET, signed
from stand import Sent, Stand, in_memory

from palisade.rego.text import dumps

TAKEN = {
    'split(header, " ")[1]': "Bearer ",
    'split(header, "Bearer ")[1]': "Bearer ",
    'split(header, "Token: ")[1]': "Token: ",
    "substring(header, 7, -1)": "Bearer ",
    "substring(header, 7, count(header) - 7)": "Bearer ",
    'trim_prefix(header, "bearer ")': "bearer ",
    'trim_prefix(header, "token=")': "token=",
    'replace(header, "JWT ", "")': "JWT ",
    'trim_space(trim_prefix(header, "Bearer"))': "Bearer ",
    'trim(split(header, " ")[1], " ")': "Bearer ",
    "trim_space(header)": "",
    'regex.replace(header, "^Bearer ", "")': "Bearer ",
    "regex.replace(header, `(?i)bearer\\s+`, ``)": "Bearer ",
    'regex.find_all_string_submatch_n("^Bearer (.+)$", header, 1)[0][1]': "Bearer ",
    "regex.find_all_string_submatch_n(`(?i)^bearer\\s+(\\S+)$`, header, -1)[0][1]": "Bearer ",
    "regex.find_all_string_submatch_n(`bearer ([^ ]+)`, header, 1)[0][1]": "bearer ",
}
GOOD = signed('{"role": "guest"}', "secret", "HS256", "{}")
FORGED = signed('{"role": "guest"}', "wrong", "HS256", "{}")


def _values(prefix: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """What stands in the header, more than once maybe, and whether the sidecar is to know what it is."""
    unsigned = GOOD.rpartition(".")[0] + "."
    yield from (((f"{prefix}{token}",), True) for token in (GOOD, FORGED, unsigned))
    yield from (((value,), True) for value in ("", "Basic YTpi", "opaque", f"{prefix}opaque", f"{prefix}a.b"))
    for word in ("Bearer", "bearer", "BEARER", "JWT", "Token:", "token=", "Basic", ""):
        for space in ("", " ", "  ", "\t"):
            yield (f"{word}{space}{GOOD}",), False
    for token in (GOOD, unsigned):
        for value in (
            *(f"{prefix}{token} ", f" {prefix}{token}", f"{prefix}{token} x", f"x {prefix}{token}"),
            *(
                f"{prefix}{prefix}{token}",
                f"{prefix}x {token}",
                f"{prefix}{token},{token}",
                f"{prefix}{token}=",
            ),
            *(f"{prefix}{token}.", f"{prefix}.{token}", f"{prefix}{token[::-1]}", f"1234567{token}"),
        ):
            yield (value,), False
    yield (f"{prefix}{GOOD}", f"{prefix}{GOOD}"), False
    yield ("x", f"{prefix}{GOOD}"), False


@pytest.mark.long
@pytest.mark.parametrize("taken", some([*TAKEN], 5))
def test_the_token_is_where_the_policy_takes_it_from(stand: Stand, taken: str) -> None:
    """By the engine or by Envoy each request ends the same, and what is usual needs no engine."""
    policy = f"""package envoy.authz

default allow := false

header := input.attributes.request.http.headers["x-token"]

payload := found if {{
	[valid, _, found] := io.jwt.decode_verify({taken}, {{"secret": {dumps(SECRET)}}})
	valid
}}

allow if payload.role == "guest"

allow if {{
	input.attributes.request.http.method == "PUT"
	not payload
}}
"""
    policy_set = in_memory({"p.rego": policy})
    asked = [
        (Sent(method, f"/{number}", tuple(("x-token", value) for value in values)), known)
        for number, (values, known) in enumerate(_values(TAKEN[taken]))
        for method in ("GET", "PUT")
    ]
    requests = [request for request, _ in asked]
    wanted, seen, residual = stand.both_ways(policy_set, "envoy/authz/allow", requests)
    assert seen == wanted
    assert {200, 403} <= set(wanted[:6])
    assert not [request for request, known in asked if known and request.path in residual]
