"""What is cut out of texts, found in them, or an address in them: native, and as the evaluator decides."""

from __future__ import annotations

import pytest
from lowered import allowing, judge_natively

from palisade.policy.providers import Provider
from palisade.testing.equivalence import Bed, Issuers, Request, Token

HEAD = """package p
import input.attributes.request.http
import input.parsed_path as path
claims := input.identity.claims
h := http.headers["x-t"]
"""
SOURCES = ("h", "claims.t", "http.path")
IDIOMS = (
    *(
        f'split({text}, "{mark}") {test}'
        for text in (*SOURCES, 'trim(http.path, "/")', "input.parsed_query.fields[0]")
        for mark in ("/", ",", ", ")
        for test in (
            '== ["", "users"]',
            '!= ["a"]',
            'in {["users", "7"], ["10.0.0.1", " a"], ["a", "b,a"], [""], []}',
        )
    ),
    *(
        f"{made.format(text)} {test}"
        for text in SOURCES
        for made in (
            'trim_space(split({}, ",")[0])',
            'trim_space(split({}, ",")[1])',
            'split({}, ", ")[0]',
            'split({}, ", ")[1]',
            'lower(trim_space(split({}, ";")[0]))',
            'split(trim({}, "/"), "?")[0]',
            'split(trim_prefix(trim_suffix(lower(split({}, "?")[0]), "/"), "/"), "/")[0]',
        )
        for test in ('in {"10.0.0.1", "users", "a"}', '!= "10.0.0.1"')
    ),
    *(
        f'{test}(trim_space({text}), "{part}")'
        for text in SOURCES[:2]
        for test in ("startswith", "endswith", "contains")
        for part in ("10.0.0.1", "a", "users")
    ),
    *(f'not startswith(trim_space({text}), "10.")' for text in SOURCES[:2]),
    *(
        f'net.cidr_contains("{ranges}", {text})'
        for text in (
            "h",
            "claims.t",
            'trim_space(split(h, ",")[0])',
            'split(h, ":")[0]',
            'split(h, ", ")[0]',
            'split(claims.t, ", ")[1]',
            "trim_space(ips[count(ips) - 1])",
        )
        for ranges in ("10.0.0.0/8", "10.0.0.0/30", "0.0.0.0/0", "fd00::/8", "::ffff:10.0.0.0/104", "x")
    ),
    'not net.cidr_contains("10.0.0.0/8", h)',
    *(
        f"parts := split({text}, `, `); {test}"
        for text in SOURCES[:2]
        for test in (
            "startswith(parts[count(parts) - 1], `10.`)",
            "split(parts[0], `.`)[1] in {`0`, `168`}",
            "pieces := split(parts[0], `.`); pieces[count(pieces) - 1] == `1`",
            "startswith(split(parts[count(parts) - 1], `.`)[0], `10`)",
        )
    ),
    *(
        f"{cut}; concat(`{mark}`, array.slice(parts, {start}, {end})) {test}"
        for text in SOURCES
        for cut, mark in (
            (f"parts := split({text}, `.`)", "."),
            (f"parts := split(split({text}, `:`)[0], `.`)", "."),
            (f"parts := split(trim({text}, `/`), `/`)", "/"),
        )
        for start, end in ((0, 2), (1, 3), (1, "count(parts)"), (0, "count(parts) - 1"))
        for test in ("in {`0.0.1`, `0.0`, `10.0`, `users`, `users/7`, `7`}", "!= `10.0.0`")
    ),
    *(f"count({{m | m := urlquery.encode({text})}}) == 0" for text in SOURCES[:2]),
    *(f"parts := split(lower({text}), `.`); not parts[count(parts) - 1]" for text in SOURCES[:2]),
    *(
        f"{no}count({made}) {test}"
        for text in SOURCES
        for made in (
            f"split({text}, `,`)[0]",
            f"trim_prefix({text}, `10.`)",
            f"sprintf(`%s-%s`, [{text}, h])",
        )
        for no, test in (("", "== 8"), ("", "> 4"), ("not ", "<= 4"), ("", "!= 3"))
    ),
    *(f"{no}count(path[1]) {test}" for no in ("", "not ") for test in ("== 1", "> 3", "< 2", "!= 4")),
    *(
        f"object.get({{`10`: 3, `users`: 2, ``: 4, `GET /users`: 5}}, {made}, {default}) == {wanted}"
        for text in SOURCES
        for made in (f"split({text}, `.`)[0]", f"concat(` `, [http.method, {text}])", f"trim({text}, `/`)")
        for default, wanted in (("1", "1"), ("1", "3"), ("`x`", "5"), ("http.host", "2"))
    ),
    'split(h, ", ")[1] == http.headers["x-u"]',
    *(f'{no}startswith(split({text}, ", ")[0], "10.")' for text in SOURCES[:2] for no in ("", "not ")),
    *(
        f"{no}regex.match(`{pattern}`, lower({text}))"
        for text in (*SOURCES, "path[0]", "split(h, ` `)[0]")
        for pattern in ("^users", "us[^a-d]rs.?x", "^[0-9.]+$", "\\\\.x$")
        for no in ("", "not ")
    ),
    'some role in claims.roles; regex.match("^us.rs", lower(role))',
    'every role in claims.roles { not regex.match("^us.rs", lower(role)) }',
    'some c in ["10.0.0.0/31", "192.168.0.0/16"]; net.cidr_contains(c, h)',
    *(
        f"{found} {test}"
        for text in SOURCES
        for found in (
            f"regex.find_n(`[0-9]+`, {text}, 1)[0]",
            f"regex.find_all_string_submatch_n(`([a-z]+)[./](?:([0-9]+)|x)`, {text}, 1)[0][1]",
            f"regex.find_all_string_submatch_n(`([a-z]+)[./](?:([0-9]+)|x)`, {text}, -1)[0][2]",
        )
        for test in ('in {"10", "users", "7"}', '!= ""', '== http.headers["x-u"]')
    ),
    "regex.find_n(`[0-9]+`, h, 1)[0]",
    f"regex.find_n(`[0-9]+`, h, 1)[0] in {{{', '.join(f'`{n}`' for n in range(40))}}}",
    f"not regex.find_n(`[0-9]+`, claims.t, 1)[0] in {{{', '.join(f'`{n}`' for n in range(40))}}}",
    "not regex.find_n(`[0-9]+`, h, 1)[0]",
    "not regex.find_n(`[0-9]+`, claims.t, -1)[0]",
    'some x in split(input.parsed_query.fields[0], ","); x in {"a", "users"}',
    'every x in split(input.parsed_query.fields[0], ",") { x in {"a", "users"} }',
    'count({x | some x in split(input.parsed_query.fields[0], ","); x in {"a", "users"}}) == 0',
    'count({m | m := sprintf("%s is %d long", [h, count(claims.t)])}) == 0',
    'count({m | m := sprintf("%v %v", [{"a": h}, claims.t]); startswith(h, "10")}) == 0',
    'count({m | m := json.marshal({"a": h, "b": claims.t})}) == 0',
    'claims.t == ["10", h]',
    'path == ["users", http.headers["x-u"]]',
)
VALUES = (
    *("10.0.0.1", "10.0.0.2", "10.0.0.4", "010.0.0.1", "10.0.0", "10.0.0.256", "192.168.1.1", "::1", "a"),
    *(
        "fd00::1",
        "::ffff:10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.1, 192.168.1.1",
        "a,, 10.0.0.1, , users",
        "10.0.0.1,, users",
        "192.168.1.1 ,10.0.0.1",
        "10.0.0.1:80",
    ),
    *(
        "users/7/",
        "USERS.x",
        "/users/",
        "users",
        "a,b",
        " a ; b",
        "\ta",
        "a\u00a0",
        "\u212a7",
        "",
        ",",
        "7",
        "10",
        "A",
    ),
)


def _asked() -> list[Request]:
    found = []
    for value in VALUES:
        found.append(Request("GET", "/", (("x-t", value), ("x-u", "users"))))
        found.append(Request("GET", "/", (("x-t", "10"), ("x-u", "7")), Token("corp", {"t": value})))
    found += [
        Request("GET", "/", (("x-t", "a"),), Token("corp", {"t": t}))
        for t in (7, None, ["10", "a"], {"a": 1})
    ]
    found += [
        Request("GET", target, (("x-u", "users"),))
        for target in (
            *("/users/7", "/Users/?a", "//users", "/a.7?fields=a", "/?fields=users,b&fields=a", "/?field=a"),
            *("/?fields", "/?fields=", "/?fields=a,users", "/?fields=%61", "/?fields=b&x=a", "/users/users"),
        )
    ]
    return found


@pytest.mark.parametrize("providers", [1], ids=("one",), indirect=True)
@pytest.mark.parametrize("part", range(4))
def test_idioms_are_native_and_exact(
    bed: Bed, providers: tuple[Provider, ...], issuers: Issuers, part: int
) -> None:
    """Each on texts that it takes, nearly takes, or that only some readers take for the same."""
    subjects = allowing(IDIOMS[part::4], providers, issuers, head=f'{HEAD}ips := split(h, ",")')
    judge_natively(bed, subjects, _asked(), residual=0.2)
