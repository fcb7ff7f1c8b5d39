"""HTTP Basic without decoding it: what is said of the user is exact, and Envoy is told no password."""

from __future__ import annotations

import base64

import pytest
import re2
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import subject_of

from palisade import rego
from palisade.enforce.envoy.regex import encoded
from palisade.testing.equivalence import Bed, Issuers, Request, Tally, compare
from palisade.testing.equivalence.telling import lines, summary

TEXTS = st.text(st.sampled_from("alice:bob \x00\x7f~?>é"), max_size=9)
BEGUN = st.tuples(st.sampled_from(("", "alice:", "al", "bob:")), TEXTS).map("".join)


@settings(max_examples=examples(3000), deadline=None)
@given(BEGUN)
def test_expressions_match_the_encodings_of_what_they_say(text: str) -> None:
    """Of plain encodings; and no expression matches any other encoding."""
    written = base64.b64encode(text.encode()).decode()
    plain = text.isascii() and not set(written) & set("+/")
    says = {
        encoded.anything(): True,
        encoded.anything(encoded.other_than(":")): ":" not in text,
        encoded.once(":"): text.count(":") == 1,
        encoded.beginning("alice:"): text.startswith("alice:"),
        encoded.beginning("al"): text.startswith("al"),
        encoded.equal("alice:bob"): text == "alice:bob",
        encoded.equal("bob"): text == "bob",
    }
    for pattern, holds in says.items():
        assert (re2.fullmatch(pattern, written) is not None) == (plain and holds), pattern
        for other in (written[:-1], f"{written}=", f"{written}A", f"{written}====", f" {written}"):
            assert re2.fullmatch(pattern, other) is None or _is_plain(other), other


def _is_plain(text: str) -> bool:
    """Whether it is itself the encoding of a text."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except ValueError:
        return False


HEAD = """package p
import input.attributes.request.http
authorization := http.headers.authorization
"""
USER = """
user := name if {
	[_, code] := split(authorization, " ")
	[name, _] := split({decode}(code), ":")
}
"""
RULES = {
    "a user, as OPA-Envoy's tutorial has it": USER + 'allow if user == "alice"',
    "a table of users": USER
    + 'roles := {"alice": ["a"], "bob": ["b"], "é": ["a"]}\nallow if "a" in roles[user]',
    "not a user": USER + 'allow if not user == "alice"',
    "a user, and something else": """
allow if {
	[name, other] := split({decode}(split(authorization, " ")[1]), ":")
	name == "alice"
}""",
    "a colon": 'allow if contains({decode}(substring(authorization, 6, -1)), ":")',
    "no colon": 'allow if not contains({decode}(substring(authorization, 6, -1)), ":")',
    "what is before the first colon": """
pair := {decode}(split(authorization, " ")[1])
allow if substring(pair, 0, indexof(pair, ":")) == `alice`""",
    "any user": USER + "allow if user",
    "behind the scheme": 'allow if split({decode}(trim_prefix(authorization, "Basic ")), ":")[0] == "alice"',
    "behind so many characters": 'allow if startswith({decode}(substring(authorization, 6, -1)), "alice:")',
    "a key": 'allow if {decode}(http.headers["x-key"]) in {"alice", "bob", "é"}',
    "a user and a password": USER + 'allow if {decode}(split(authorization, " ")[1]) == "alice:bob"',
    "a table of passwords": """
passwords := {"alice": "bob", "bob": "al:ice"}
allow if {
	[name, password] := split({decode}(split(authorization, " ")[1]), ":")
	passwords[name] == password
}""",
}
_TEXTS = (
    "alice:bob",
    "alice:",
    "alice",
    "bob:alice",
    "alice:bob:",
    "Alice:bob",
    "é:x",
    "alice:é",
    "",
    ":",
    "alice:~?>",
    "bob:al:ice",
)


def _headers() -> list[str]:
    found = ["Basic", "Basic ", "Bearer e30.e30.x", "Basic YWxpY2U6Ym9i, Basic YWxpY2U6Ym9i"]
    for text in _TEXTS:
        code = base64.b64encode(text.encode()).decode()
        codes = (
            code,
            code.rstrip("="),
            code + "=",
            base64.urlsafe_b64encode(text.encode()).decode(),
            code[:-1] + "B",
        )
        found += [f"{scheme}{each}" for scheme in ("Basic ", "basic ", "", "Basic  ") for each in codes]
        found += [f"Basic {code} x", f"Basic {code}.x", f"Basic Basic {code}"]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("decode", ["base64.decode", "base64url.decode"])
@pytest.mark.parametrize("name", RULES)
def test_users_of_http_basic(bed: Bed, issuers: Issuers, name: str, decode: str) -> None:
    """Whatever stands in the header, in whichever encoding, no request is decided otherwise."""
    source = HEAD + RULES[name].replace("{decode}", decode)
    subject = subject_of(rego.compile({"p.rego": source}), (), issuers)
    bed.load(subject)
    place = "x-key" if "x-key" in source else "authorization"
    asked = [Request(headers=((place, each),)) for each in _headers()] + [Request()]
    tally = Tally()
    for difference in compare(bed, subject, asked, tally):
        raise AssertionError("\n".join((summary(difference), source, *lines(difference))))
    if "password" not in name:
        plain = [
            Request(headers=((place, f"Basic {base64.b64encode(text).decode()}"),))
            for text in (b"alice:bob", b"eve:x", b"bob:")
        ]
        assert not any(seen.asked for seen in bed.ask(plain) if seen is not None)


def test_no_password_reaches_the_sidecar(issuers: Issuers) -> None:
    """Nor its encoding: what Envoy is given may be read by whoever reads its configuration."""
    for name in ("a user and a password", "a table of passwords"):
        source = HEAD + RULES[name].replace("{decode}", "base64.decode").replace('"bob"', '"hunter2"')
        subject = subject_of(
            rego.compile({"p.rego": source.replace("alice:bob", "alice:hunter2")}), (), issuers
        )
        written = b"".join(
            subject.slot(f"palisade.{slot}").value for slot in ("native", "body", "told", "residual")
        )
        code = base64.b64encode(b"alice:hunter2").decode()
        assert b"hunter2" not in written
        assert code.encode() not in written
        assert code[8:].encode() not in written
