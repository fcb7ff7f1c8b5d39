"""Conditions on requests and tokens, drawn by Hypothesis, with constants of the pool that requests have."""

from __future__ import annotations

from drawing import pick
from drawn_requests import METHODS, WORDS
from hypothesis import strategies as st

TEXTS = (
    "http.method",
    "http.path",
    "http.host",
    'http.headers["x-user"]',
    'http.headers["x-tenant"]',
    'http.headers[lower("X-User")]',
    "input.parsed_path[0]",
    "input.parsed_path[1]",
    "input.parsed_path[2]",
    "input.identity.provider",
    "claims.sub",
    "claims.org.id",
    "claims.scope",
    "claims.tier",
    "claims.admin",
)
COLLECTIONS = (
    "claims.roles",
    "claims.org.tags",
    "claims.aud",
    "input.parsed_path",
    'split(claims.scope, " ")',
    'split(http.headers["x-user"], ",")',
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


constants = st.one_of(
    st.sampled_from((*WORDS, *METHODS, "", "ü", "a b", "corp", "partner")).map(quoted),
    st.sampled_from(("0", "1", "2", "true", "false", "null")),
)
_string = st.sampled_from((*WORDS, *METHODS, "", "ü", "a b", "corp")).map(quoted)
_pathconstants = st.sampled_from(
    (
        '"/"',
        '"/users"',
        '"/users/alice"',
        '"/users/"',
        '"/v1/users?role=admin"',
        '"/public"',
        '"/a b"',
        '"//"',
    )
)


_paths = st.one_of(_pathconstants, _pathconstants, _string)
_methods = st.sampled_from(METHODS).map(quoted)


def _rich(draw: st.DrawFn, text: str) -> str:
    """A constant worth comparing the text with."""
    if text == "http.path":
        return draw(_paths)
    if text == "http.method":
        return draw(_methods)
    return draw(constants)


_DECODED = 'io.jwt.decode(split(http.headers.authorization, " ")[1])[1]'


_STEPS = (
    *("trim_space({})", 'trim({}, "/ ")', 'trim_left({}, "a")', 'trim_right({}, "b,")', "lower({})"),
    *('trim_prefix({}, "a")', 'trim_suffix({}, "ob")', "upper({})", 'split({}, ",")[0]', 'split({}, "/")[1]'),
    *("substring({}, 1, -1)", "substring({}, 0, 2)", 'replace({}, "a", "")', "base64.decode({})"),
    *("base64.decode(substring({}, 2, -1))", 'regex.find_n("[a-z]+", {}, 1)[0]', 'split({}, "l")[2]'),
)


_some_steps = st.lists(st.sampled_from(_STEPS), min_size=1, max_size=3)


@st.composite
def _cut(draw: st.DrawFn) -> str:
    """What is cut out of a text in up to three steps."""
    text = pick(draw, TEXTS)
    for step in draw(_some_steps):
        text = step.format(text)
    return text


_text = st.one_of(st.sampled_from(TEXTS), st.sampled_from(TEXTS), _cut())


@st.composite
def plain_atoms(draw: st.DrawFn) -> str:
    """Conditions without variables, all of which Envoy should decide by itself for usual requests."""
    text = pick(draw, TEXTS)
    constant = _rich(draw, text)
    other = _rich(draw, text)
    string = draw(_string)
    word = pick(draw, WORDS)
    return pick(
        draw,
        (
            f"{text} == {constant}",
            f"{text} != {constant}",
            f"{constant} == {text}",
            f"{text} in {{{constant}, {other}}}",
            f"{text} in [{constant}, {other}]",
            f"startswith({text}, {string})",
            f'startswith(http.path, "/{word}")',
            f"endswith({text}, {string})",
            f"contains({text}, {string})",
            f'regex.match("^{word[:2]}.*", {text})',
            f'regex.match("{word}$|^b", {text})',
            f'glob.match("{word[:1]}*", [], {text})',
            f'glob.match("/*/{word}", ["/"], http.path)',
            f'glob.match("/{word}/**", ["/"], http.path)',
            f'glob.match("{word}/*", ["/"], concat("/", input.parsed_path))',
            f'regex.match("^{word}(/|$)", concat("/", array.slice(input.parsed_path, 1, 1000)))',
            f'regex.match("{word}$", concat("/", input.parsed_path))',
            f'startswith(concat("/", input.parsed_path), "{word}/")',
            f"lower({text}) == {string}",
            f'upper({text}) == "{word.upper()}"',
            f'input.parsed_path == [{string}, "{word}"]',
            f'input.parsed_path == ["{word}"]',
            f"count(input.parsed_path) == {len(word) % 4}",
            f"{constant} in claims.roles",
            f"{constant} in claims.org.tags",
            f"{constant} in input.parsed_path",
            f'{constant} in split(claims.scope, " ")',
            f"claims.tier >= {len(word) % 4}",
            f"claims.tier < {len(word) % 4}",
            "claims.admin",
            "claims.admin == true",
            "claims.admin != true",
            f"is_string({text})",
            "is_array(claims.roles)",
            "is_boolean(claims.admin)",
            "is_null(claims.sub)",
            "input.identity",
            "claims",
            "claims.org",
            f'data.roles[{text}] == "{word}"',
            f'data.team[{text}] == "{word}"',
            f'data.team[{text}] != "{word}"',
            f"data.banned[{text}]",
            f"data.levels[{text}] > 1",
            f'"{word}" in data.roles[{text}]',
            f'object.get(claims, "tier", 0) == {len(word) % 3}',
            f'object.get(http.headers, "x-user", "none") == {string}',
            f'object.get(claims, ["org", "id"], "") == {string}',
            f'object.get(claims.roles, {len(word) % 2}, "") == {string}',
            f'object.get(input.parsed_path, 0, "") == {string}',
            f'object.get(data.team, {text}, "none") == {string}',
            f"object.get(data.levels, {text}, 2) > 1",
            'input.function == "orders"',
            "http.path in data.open",
        ),
    )


@st.composite
def rich_atoms(draw: st.DrawFn) -> str:
    """Conditions that bind variables, compare values of the request, or are not native at all."""
    text, other = draw(_text), draw(_text)
    xs = pick(draw, COLLECTIONS)
    constant, string = draw(constants), draw(_string)
    word = pick(draw, WORDS)
    n = draw(st.integers(0, 99))
    return pick(
        draw,
        (
            f"{text} == {other}",
            f"{text} != {other}",
            f"{text} in {xs}",
            f'concat(":", [lower(http.method), {text}]) in {xs}',
            f'http.path == sprintf("/users/%s", [{text}])',
            f'http.path == concat("/", ["/users", {text}])',
            f'http.path == concat("/", ["", {text}, {string}])',
            f'http.path == $"/users/{{{text}}}"',
            f'startswith(http.path, concat("", ["/", {text}]))',
            f'startswith(http.path, $"/{{{text}}}/")',
            f'trim_prefix({text}, "/") == {string}',
            f'replace({text}, "a", "b") == {string}',
            f'["users", x{n}] = input.parsed_path; x{n} == {text}',
            f"[x{n}, {string}] = input.parsed_path; x{n} == {text}",
            f"[_, x{n}, _] = input.parsed_path; x{n} in data.roles.alice",
            f'input.parsed_path[1] == {text}; input.parsed_path[0] == "{word}"',
            f"input.parsed_path[_] == {text}",
            f"x{n} := input.parsed_path[0]; x{n} == {string}",
            f"{xs}[_] == {constant}",
            f"some x{n} in {xs}; x{n} == {constant}",
            f"some x{n} in {xs}; startswith(x{n}, {string})",
            f"some x{n} in {xs}; x{n} in data.roles.alice",
            f"some x{n} in {xs}; "
            f"some g{n} in data.grants[x{n}]; g{n}.method == http.method; "
            f"g{n}.first == input.parsed_path[0]",
            f"some g{n} in data.grants[{xs}[_]]; g{n}.first == input.parsed_path[0]",
            f"data.roles[{text}][_] == {other}",
            f"some x{n} in data.roles[{text}]; data.levels[x{n}] > 1",
            f"every x{n} in {xs} {{ x{n} != {constant} }}",
            f"every x{n} in {xs} {{ x{n} in data.roles.alice }}",
            f"every x{n} in data.roles.alice {{ x{n} in {xs} }}",
            f"count([x{n} | some x{n} in {xs}; x{n} == {constant}]) > 0",
            f"count({{x{n} | some x{n} in {xs}; x{n} in data.roles.alice}}) == 0",
            f'{{x{n} | some x{n} in {xs}}} & {{{constant}, "{word}"}} != set()',
            f"count({{x{n} | some x{n} in {xs}}} & {{{constant}, {string}}}) > 0",
            f"count({{x{n} | some x{n} in {xs}}} - {{{constant}, {string}}}) == 0",
            f"{string} in ({{x{n} | some x{n} in {xs}}} | {{{constant}}})",
            f"{{x{n} | some x{n} in {xs}}} == set()",
            f"{constant} in {{x{n} | some x{n} in {xs}; x{n} != {string}}}",
            f"count({xs}) > {n % 3}",
            f's{n} := {{x{n} | some x{n} in {xs}}}; count([y{n} | some y{n} in s{n}; y{n} != "a"]) > 1',
            f"count({text}) == {n % 6}",
            f"{xs} == [{constant}]",
            f'claims.org == {{"id": {constant}}}',
            'claims.org.plan == {"a": 1}',
            f'claims["{word}"]',
            f"claims.roles.{word}",
            f"claims.roles[0] == {constant}",
            f'some k{n}, v{n} in claims.org; k{n} == "id"; v{n} == {constant}',
            f'x{n} := object.get(claims, "roles", []); {constant} in x{n}',
            f'x{n} := object.get(input, "identity", {{}}); x{n} != {{}}',
            f"input.parsed_query.role[0] == {string}",
            f"input.parsed_query.role[0] == {text}",
            f"{string} in input.parsed_query.role",
            f'input.parsed_query.role == ["{word}"]',
            "input.parsed_query.role",
            f'split({text}, "/")[{n % 3}] == {string}',
            f'split({text}, ",")[{n % 3}] == {string}',
            f"to_number({text}) > {n % 3}",
            f"to_number({text}) <= {n}",
            f'semver.compare({text}, "1.{n % 3}.0") >= 0',
            f'count(split({text}, "/")) > {n % 4}',
            f'parts{n} := split({text}, "/"); parts{n}[count(parts{n}) - 1] == {string}',
            f'sprintf("%s:%s", [{text}, {other}]) == "{word}:alice"',
            f'concat("", [{text}, {other}]) in {{"{word}", "alicebob", "GET/{word}"}}',
            f'some p{n} in split({text}, "{",/ "[n % 3]}"); startswith(p{n}, {string})',
            f'every p{n} in split({text}, ",") {{ trim_space(p{n}) in {{{string}, "{word}"}} }}',
            f'format_int(claims.tier, 10) == "{n % 3}"',
            f'array.concat(claims.roles, ["{word}"])[0] == {constant}',
            f'array.concat({xs}, ["{word}"])[_] == {text}',
            f"some x{n} in array.concat(claims.roles, {xs}); x{n} in data.roles.alice",
            f"every x{n} in array.slice({xs}, 1, count({xs})) {{ x{n} != {constant} }}",
            f"some x{n} in array.slice({xs}, {n % 2}, count({xs}) - 1); x{n} == {constant}",
            f"every x{n} in array.slice({xs}, 0, count({xs}) - 1) {{ x{n} != {string} }}",
            f"some i{n}; input.parsed_path[i{n}] == {string}; input.parsed_path[i{n} + 1] == {text}",
            f"some i{n}, x{n} in {xs}; i{n} > {n % 2}; x{n} == {text}",
            f"{string} in object.keys(claims.org)",
            f"some k{n}, v{n} in claims.roles; k{n} == {text}; v{n} == {constant}",
            f"max({xs}) >= {constant}",
            f"count([x{n} | some x{n} in {xs}; x{n} != {text}]) {('<', '>=', '==')[n % 3]} {n % 4}",
            f"count({{x{n} | some x{n} in {xs}; x{n} in data.roles.alice}}) > {n % 3}",
            f"claims.tier + {n % 3} {('<', '>=', '==')[n % 3]} {n % 5}",
            f"claims.tier * {n % 4} > claims.{word}",
            f"claims.tier / {n % 3 + 1} <= claims.tier - {n % 2}",
            f"claims.tier % {n % 3 + 1} == {n % 2}",
            f"sum({xs}) {('<', '>=', '==')[n % 3]} {n % 5}",
            f"count([x{n} | some x{n} in {xs}; x{n} != {constant}]) + claims.tier > {n % 3}",
            f"sum([y{n} | some x{n} in {xs}; y{n} := x{n} + {n % 3}]) < {n}",
            f"min({xs}) == {text}",
            f"max([x{n} | some x{n} in {xs}; x{n} != {constant}]) < {string}",
            'net.cidr_contains("127.0.0.0/8", input.attributes.source.address.socketAddress.address)',
            'input.attributes.destination.address.socketAddress.address == "127.0.0.1"',
            f"regex.match({string}, {text})",
            f"glob.match({string}, null, {text})",
            f"json.unmarshal({text}) == {n % 3}",
            f"json.unmarshal(base64.decode({text})).a == {constant}",
            f"{_DECODED}.sub == {text}",
            f"{constant} in {_DECODED}.roles",
            f"some x{n} in {_DECODED}.roles; x{n} in data.roles.alice",
            f'object.get({_DECODED}, "tier", 1) < {n % 3}',
            "strings.any_prefix_match(http.path, data.open)",
            f'strings.any_prefix_match({text}, [{string}, "{word}"])',
            f"{text} < {constant}",
            f"{text} >= {other}",
            f'type_name({text}) == "string"',
            f"time.now_ns() > {n}",
            f"time.now_ns() / 1000000000 >= claims.{word}",
            f"time.clock(time.now_ns())[1] < {n}",
            f'time.clock([time.now_ns(), "Asia/Kathmandu"])[{n % 2}] < {n}',
            f"[y{n}, m{n}, d{n}] := time.date(time.now_ns()); m{n} in {{1, 6, {n}}}",
            f"count(split({text}, {string})) == {n % 4}",
            f'count(split({text}, ",")) == {n % 4}',
            f'count(split({text}, "l")) != {n % 3}.5',
            f"not {text} == {string}",
            f'net.cidr_contains("10.0.0.0/{n % 33}", {text})',
            f'contains(lower({text}), "{word}")',
            f'startswith(upper({text}), "{word.upper()}")',
            f"endswith(lower({text}), {string})",
            f"count(array.slice(input.parsed_path, {n % 3}, {n % 5})) == {n % 4}",
            f"array.slice(input.parsed_path, {n % 3}, {n % 5})[{n % 2}] == {string}",
            f'["users", x{n}] = array.slice(input.parsed_path, 0, 2); x{n} == {text}',
            f"array.slice({xs}, 0, 2)[0] == {constant}",
        ),
    )
