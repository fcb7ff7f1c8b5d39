"""Policies of the kind that guard functions, drawn by Hypothesis: modules `p` whose decision is `allow`."""

from __future__ import annotations

from drawing import pick
from drawn_collections import collection_atoms
from drawn_conditions import COLLECTIONS, TEXTS, constants, plain_atoms, quoted, rich_atoms
from drawn_made import made_atoms
from drawn_requests import METHODS, WORDS
from hypothesis import strategies as st

_WITHS = st.sampled_from(
    (
        *("", "", "", ' with input.attributes.request.http.method as "GET"'),
        *(' with input.identity.claims.sub as "alice"', ' with input.parsed_path as ["users", "bob"]'),
        *(" with input as {}", ' with data.banned as {"eu": true}', " with input.identity as http.headers"),
        ' with input.identity.claims.roles as ["admin"] with input.function as "x"',
    )
)
_GIVEN = (
    '"x"',
    "claims.sub",
    'concat("", ["<", claims.org.id, ">"])',
    'concat(",", claims.roles)',
    'concat("|", {r | some r in claims.roles})',
    "format_int(count(claims.roles), 10)",
)
_MEMBERS = st.one_of(constants, st.sampled_from(TEXTS))
_BOOLEANS = st.sampled_from(("true", "false"))
_DEFAULTS = st.sampled_from(("false", "true", "0", '"eu"'))


@st.composite
def _side(draw: st.DrawFn, earlier: list[str]) -> str:
    """A side of `and` or `or`."""
    several = st.lists(plain_atoms(), min_size=1, max_size=2).map("; ".join)
    form = pick(draw, ("{}", "{}", "not {}", "{{ {} }}", "not {{ {} }}"))
    inner = several if "{{" in form else plain_atoms()
    return pick(draw, earlier) if earlier and draw(st.booleans()) else form.format(draw(inner))


@st.composite
def _logic(draw: st.DrawFn, earlier: list[str]) -> str:
    """Conditions that are joined, in a module that imports the keywords for it."""
    first, second, third = (draw(_side(earlier)) for _ in range(3))
    one, other = (pick(draw, ("and", "or")) for _ in range(2))
    text = pick(draw, (f"{first} {one} {second}", f"{first} {one} {second} {other} {third}"))
    return pick(draw, (text, text, f"not ({text})", f"not {{ {text} }}", f"{third} {other} ({text})"))


@st.composite
def _body(draw: st.DrawFn, earlier: list[str], *, rich: bool, logical: bool) -> str:
    atoms: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = pick(draw, ("plain", "plain", "rich", "not", "helper", "method", *(["logic"] * 3 * logical)))
        if kind == "logic":
            atoms.append(draw(_logic(earlier)))
        elif kind == "rich" and rich:
            together = collection_atoms(len(atoms) + 10 * len(earlier))
            texts = pick(draw, TEXTS), pick(draw, TEXTS)
            made = made_atoms(len(atoms) + 10 * len(earlier), *texts, pick(draw, COLLECTIONS))
            atoms.append(draw(st.one_of(rich_atoms(), rich_atoms(), together, made)))
        elif kind == "not":
            atoms.append(
                "not " + (pick(draw, earlier) if earlier and draw(st.booleans()) else draw(plain_atoms()))
            )
        elif kind == "helper" and earlier:
            change = draw(_WITHS) if rich else ""
            atoms.append(pick(draw, earlier) + change)
        elif kind == "method":
            atoms.append(f"http.method == {quoted(pick(draw, METHODS))}")
        else:
            atoms.append(draw(plain_atoms()))
    return "; ".join(atoms)


@st.composite
def policies(draw: st.DrawFn, *, rich: bool = True) -> str:
    """The source of a module `p` whose decision is `allow`."""
    logical = draw(st.integers(0, 3)) == 0
    lines = ["package p", *(["import future.keywords"] * logical)]
    lines += ["import input.attributes.request.http", "claims := input.identity.claims"]
    earlier: list[str] = []
    for number in range(draw(st.integers(0, 3))):
        name = f"h{number}"
        kind = pick(draw, ("rule", "rule", "value", "function", "set", "else", "object"))
        body = _body(earlier, rich=rich, logical=logical)
        bodies = [draw(body) for _ in range(draw(st.integers(1, 2)))]
        if draw(st.booleans()) and kind in ("rule", "value", "else"):
            lines.append(f"default {name} := {draw(_DEFAULTS)}")
        if kind == "rule":
            lines += [f"{name} if {{ {each} }}" for each in bodies]
            earlier.append(name)
        elif kind == "value":
            lines += [f"{name} := {draw(constants)} if {{ {each} }}" for each in bodies]
            earlier += [name, f"{name} == {draw(constants)}", f"{name} != {draw(constants)}"]
        elif kind == "function":
            lines += [f"{name}(x) if {{ x == {draw(constants)}; {each} }}" for each in bodies]
            if draw(st.booleans()):
                lines.append(f"{name}(x) := {draw(constants)} if {{ x != {draw(constants)} }}")
            earlier += [f"{name}({pick(draw, TEXTS)})", f"{name}({draw(constants)})"]
        elif kind == "set":
            lines += [f"{name} contains {draw(_MEMBERS)} if {{ {each} }}" for each in bodies]
            earlier += [
                f"count({name}) == 0",
                f"count({name}) > 0",
                f"{draw(constants)} in {name}",
                f"{name}[{pick(draw, TEXTS)}]",
            ]
        elif kind == "else":
            tail = "".join(f" else := {draw(constants)} if {{ {each} }}" for each in bodies[1:])
            lines.append(f"{name} := {draw(constants)} if {{ {bodies[0]} }}{tail}")
            earlier += [name, f"{name} == {draw(constants)}"]
        else:
            lines += [
                f"{name}[{quoted(pick(draw, WORDS))}] := {draw(constants)} if {{ {each} }}" for each in bodies
            ]
            earlier += [f"{name}.admin", f"{name}[{pick(draw, TEXTS)}]"]
    if draw(st.booleans()):
        lines.append(f"default allow := {pick(draw, ('false', 'false', 'true'))}")
    shape = pick(
        draw,
        (
            *("plain", "plain", "plain", "else", "values", "deny"),
            *(("object", "messages") if rich else ("plain",)),
        ),
    )
    for number in range(draw(st.integers(1, 8 if shape == "messages" else 4))):
        body = draw(_body(earlier, rich=rich, logical=logical))
        if shape == "else":
            other = draw(_body(earlier, rich=rich, logical=logical))
            first, second = draw(_BOOLEANS), draw(_BOOLEANS)
            lines.append(f"allow := {first} if {{ {body} }} else := {second} if {{ {other} }}")
            break
        if shape == "values":
            lines.append(f"allow := {pick(draw, ('true', 'true', 'false'))} if {{ {body} }}")
        elif shape == "deny":
            lines.append(f"deny contains {number} if {{ {body} }}")
        elif shape == "messages":
            message = pick(draw, (f'"m{number % 7}"', f'sprintf("m{number % 7} %v", [{pick(draw, _GIVEN)}])'))
            lines.append(f"deny contains message if {{ {body}; message := {message} }}")
        elif shape == "object":
            given = pick(draw, _GIVEN)
            headers = f'"headers": {{"x-is": {given}}}, "response_headers_to_add": {{"x-was": {given}}}'
            response = f'{{"allowed": {draw(_BOOLEANS)}, "http_status": 40{number}, {headers}}}'
            other = pick(draw, ("", "", ' else := {"allowed": false, "body": "no"} if http.path != "/"'))
            lines.append(f"allow := {response} if {{ {body} }}{other}")
        else:
            lines.append(f"allow if {{ {body} }}")
    if shape == "deny":
        lines.append(
            pick(
                draw,
                (
                    "allow if count(deny) == 0",
                    "allow if not deny[0]",
                    "allow if { count(deny) == 0; claims.sub }",
                ),
            )
        )
    if shape == "messages":
        told = '"body": concat(",", deny), "headers": {"x-all": json.marshal({"all": deny})}'
        lines.append(f'allow := {{"allowed": count(deny) == 0, "http_status": 409, {told}}}')
    return "\n".join(lines) + "\n"
