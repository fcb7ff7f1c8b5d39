"""Strings are bytes in OPA, and may be no UTF-8: a path's `%FE`, what `base64.decode` gives."""

from __future__ import annotations

import itertools

import pytest
from opa_answers import OpaAnswers

from palisade import rego
from palisade.rego.values import UNDEFINED, to_json

HEAD = """package p

u(x) := urlquery.decode(x)

h(x) := hex.encode(x)

texts := [u(input.a), u(input.b), "é", "x\ufffd", ""]
"""
RULES = {
    "equal": "[[a == b] | some a in texts; some b in texts]",
    "order": "[[a < b, a <= b, a > b, a >= b] | some a in texts; some b in texts]",
    "order_of_one": '[[x < "é", x > "\ufffd", "😀" <= x, "z" >= x] | some x in texts]',
    "sorted": "[h(x) | some x in sort(texts)]",
    "least": "[h(min({a, b})) | some a in texts; some b in texts]",
    "keys": "[h(k) | some k in sort([k | some k, _ in {u(input.a): 1, u(input.b): 2}])]",
    "contains": "[contains(a, b) | some a in texts; some b in texts]",
    "starts": "[startswith(a, b) | some a in texts; some b in texts]",
    "ends": "[endswith(a, b) | some a in texts; some b in texts]",
    "any_prefix": "[strings.any_prefix_match(a, [b]) | some a in texts; some b in texts]",
    "concat": "[h(concat(c, [a, b])) | some a in texts; some b in texts; some c in texts]",
    "joined": '[[concat("", [a, b]) == c] | some a in texts; some b in texts; some c in texts]',
    "written": '[[sprintf("%s%s", [a, b]) == c] | some a in texts; some b in texts; some c in texts]',
    "template": '[[$"{a}{b}" == c] | some a in texts; some b in texts; some c in texts]',
    "split": "[h(x) | some a in texts; some b in texts; some x in split(a, b)]",
    "replace": "[h(replace(a, b, c)) | some a in texts; some b in texts; some c in texts]",
    "replaced": "[h(strings.replace_n({b: c}, a)) | some a in texts; some b in texts; some c in texts]",
    "trim": "[h(trim(a, b)) | some a in texts; some b in texts]",
    "trim_left": "[h(trim_left(a, b)) | some a in texts; some b in texts]",
    "trim_prefix": "[h(trim_prefix(a, b)) | some a in texts; some b in texts]",
    "trim_suffix": "[h(trim_suffix(a, b)) | some a in texts; some b in texts]",
    "count": "[count(a) | some a in texts]",
    "counted": "[strings.count(a, b) | some a in texts; some b in texts]",
    "index": '[indexof(a, b) | some a in texts; b := texts[_]; b != ""]',
    "indices": '[indexof_n(a, b) | some a in texts; b := texts[_]; b != ""]',
    "part": "[h(substring(a, i, n)) | some a in texts; some i in [0, 1]; some n in [-1, 1, 2, 9]]",
    "upper": "[h(upper(a)) | some a in texts]",
    "lower": "[h(lower(a)) | some a in texts]",
    "json": "[[h(json.marshal(a)), h(json.unmarshal(json.marshal(a)))] | some a in texts]",
    "yaml": '[[h(yaml.marshal(a)), h(yaml.marshal({a: ["b"]}))] | some a in texts; a != "😀"]',
    "rendered": 'strings.render_template("{{.a}}", {"a": texts[0]})',
    "regex": '[[regex.match("^.$", a), h(regex.replace(a, ".", "<$0>"))] | some a in texts]',
}
TEXTS = ("", "%c3", "%a9", "é", "%fe", "%ff", "A%e7%9dx", "\ufffd", "😀", "é%A9%FE%c3")


@pytest.mark.parametrize("name", RULES)
def test_bytes_that_are_no_utf_8_are_what_opa_has(name: str, opa: OpaAnswers) -> None:
    """They were taken for a character each: two halves of one put together were not that character, and
    what begins with the first half of a character did not begin with it."""
    source = f"{HEAD}\n\nr := {RULES[name]}\n"
    policy = rego.compile({"p.rego": source})
    for a, b in itertools.permutations(TEXTS, 2):
        asked = {"a": a, "b": b}
        [wanted] = opa.ask(source, asked, ["r"])
        found = policy.evaluate("data.p.r", asked)
        assert ([] if found is UNDEFINED else [to_json(found)]) == wanted, (a, b)


@pytest.mark.parametrize("asked", ['strings.reverse(x) == "a"', 'strings.any_suffix_match("a", x)'])
def test_what_opa_crashes_at_is_an_error(asked: str) -> None:
    """Not undefined, which `not` would take for an answer."""
    policy = rego.compile({"p.rego": f"package p\n\nx := base64.decode(input)\n\nr if not {asked}\n"})
    with pytest.raises(rego.EvalError, match="no UTF-8"):
        policy.evaluate("data.p.r", "/w==")
