"""What would make a residual part of a policy native: something to do, for every reason there is."""

from __future__ import annotations

from palisade.rego.partial.formulas.terms import Apply, Known, ObjectOf, Symbol
from palisade.rego.partial.symbols.objects import OBJECT
from palisade.rego.terms import INFIX

_OPERATORS = {infix.operator.name: sign for sign, infix in INFIX.items()}
_ORDER = frozenset((">", ">=", "<", "<="))

_ARITHMETIC = "compare the value itself with a constant; or let the issuer put the result into a claim"
_ORDERED = (
    "claims that are numbers, and count() of claims and headers, compare with constants natively; "
    "of path segments write count(input.parsed_path) == N"
)
_TIMES = (
    "compare time.now_ns() with constants, its seconds with a claim and seconds more, or its time.clock, "
    "time.date and time.weekday in UTC or a time zone, and sums of these, with constants; or with "
    "time.parse_rfc3339_ns of a header, a claim, a parameter or a field of JSON"
)
_FETCH = "fetch it outside of the decision, and put the answer into data"
_SEND = (
    "ask by GET, with force_cache for 30 seconds or more, what is constant: then the engine asks ahead, and"
    " the sidecars know the answer; or put it into data"
)
_VERIFY = (
    "verify the bearer token with io.jwt.decode_verify and constant keys, or name the issuer in providers: "
    "then Envoy verifies it"
)
_PARSED = "read input.parsed_body, or let the caller send what is compared as a header or a claim"
_TEXT = (
    "use a constant pattern with regex.match, glob.match, startswith, endswith or contains, on one text of "
    "the request as it is: the path, a segment, a header, a claim"
)
_TAKEN = "take parts of a text with split(text, C)[N], trim_prefix, trim_suffix, trim or input.parsed_path[N]"
_BASIC = (
    "decide by the user of HTTP Basic, what is before the colon: the password is only the engine's to read"
)
_MADE = 'put constants around values that are texts: sprintf("/%s/%s", [x, y]), concat or $"/{x}/{y}"'
_OBJECT = (
    "read the key itself, x.key; object.get, object.remove and object.filter with constant keys are native"
)
_COLLECTION = "test membership, x in xs or xs[_] == x, or compare with constants"
_GRAPHQL = (
    "decide by path, method or a header first, so that only the requests whose query must be parsed are asked"
)
_CHANCE = "decide by a value of the request: what is drawn by chance is only the engine's to draw"
_DIGEST = "compare the value itself; or let the issuer put the digest into a claim"
_NETWORK = (
    "ask net.cidr_contains with constant ranges and input.attributes.source.address.socketAddress.address, "
    'or a header or a claim, also one piece of it: split(header, ",")[0]'
)

_ENTRIES = (
    "test the members themselves, or gather them in a set; cookies are read natively as "
    '{k: v | some part in split(cookie, "; "); [k, v] := split(part, "=")}'
)

_FAMILIES = (
    ("time.now_ns", _TIMES),
    ("time.", _TIMES),
    ("http.send", _SEND),
    ("net.lookup_ip_addr", _FETCH),
    ("net.", _NETWORK),
    ("rand.", _CHANCE),
    ("uuid.rfc4122", _CHANCE),
    ("io.jwt.", _VERIFY),
    ("json.unmarshal", _PARSED),
    ("json.is_valid", _PARSED),
    ("json.match_schema", "ask of fields what the schema says: is_number(body.n), body.kind in kinds"),
    ("yaml.", _PARSED),
    (
        "urlquery.",
        "read input.parsed_query and input.parsed_path: parameters and segments are native, and decoded",
    ),
    ("graphql.", _GRAPHQL),
    ("crypto.", _DIGEST),
    ("regex.match", _TEXT),
    ("re_match", _TEXT),
    ("regex.find_", f"take the first with a constant pattern in ASCII, [0] or [0][N]; or {_TAKEN}"),
    ("regex.", f"{_TEXT}; {_TAKEN}"),
    ("glob.", _TEXT),
    ("sprintf", _MADE),
    ("concat", _MADE),
    ("format_int", _MADE),
    ("internal.template_string", _MADE),
    ("strings.any_", "ask startswith or endswith of each constant, which is native for claims too"),
    ("object.", _OBJECT),
    ("json.", _OBJECT),
    ("walk", "name the path of the value: x.a.b"),
    ("graph.", "take the graph from data: graph.reachable(data.graph, claims.roles) is native"),
    ("units.", "compare the text itself, or a claim that is a number, with a constant"),
    ("semver.", "compare the text with constants, or match it with regex.match"),
    ("opa.runtime", "put the setting into data"),
    ("array.", _COLLECTION),
    ("sort", _COLLECTION),
    ("union", _COLLECTION),
    ("intersection", _COLLECTION),
    ("set_diff", _COLLECTION),
    ("cast_", _COLLECTION),
    ("all", _COLLECTION),
    ("any", _COLLECTION),
    ("count", "compare a count of characters, of path segments or of a claim's members with a constant"),
    *((name, _ARITHMETIC) for name in ("abs", "ceil", "floor", "round", "sum", "product", "max", "min")),
    *((name, _ARITHMETIC) for name in ("bits.", "numbers.", "to_number")),
    (
        "replace",
        "compare the text with constants, replace(x, C, D) == E; or let the issuer or the caller write both "
        "values alike",
    ),
    *((name, _TAKEN) for name in ("substring", "indexof", "split", "trim", "strings.")),
    *((name, "compare with one ASCII constant") for name in ("lower", "upper")),
)
_OTHER = (
    "compare what the request brings with constants or data; or let the issuer put the result into a claim"
)


CONSTANTS = (
    "answer with constants, claims, fields of JSON, the whole path, the host, the method or headers, alone or"
    " between constants"
)
OF_PROVIDERS = (
    "; where there are more than eight providers, with the claims of one, as"
    ' input.attributes.metadataContext.filterMetadata["envoy.filters.http.jwt_authn"].NAME has them'
)
TEXTS = "tokens in which the claim is a text are answered natively"
FIELDS = "tokens and JSON in which the value is a text are answered natively"
HEADERS = (
    "requests whose header is plain ASCII without commas, of up to 1,000 characters, are answered natively"
)
JOINED = (
    "tokens in which the claim is an array of texts in ASCII without quotes, backslashes, <, > and & are "
    "answered natively"
)
SHAPED = "texts in printable ASCII of which a text without space around is made are answered natively"
WRITTEN = (
    "claims with texts without quotes, backslashes, <, > and &, and with numbers of up to 15 digits, are "
    "written natively"
)
KEPT = "claims without null, empty arrays and empty objects are put into the metadata natively"
CODED = "texts are encoded natively, in JSON those in ASCII without quotes and the like"
IN_JSON = "texts in ASCII without quotes, backslashes, <, > and & are answered natively"
MESSAGES = (
    "up to 32 messages that begin with different constants, with claims, fields of JSON, the path, the host, "
    "the method or headers in them, are joined and listed natively"
)
SAID = "messages with texts in ASCII are answered natively, in JSON those without quotes and the like"
FEW = "requests with fewer are answered natively; nothing needs to be done"
NAMES = "hardly any certificate has such a name; nothing needs to be done"
PLAIN = "answer with a status, a body, and headers that are not the protocol's own"
FEWER = (
    "let the answers differ by what the request brings, a claim, a header or the path, which is one answer "
    "for all; or give fewer different ones"
)
CLEAN = "Envoy normalizes paths, so clients hardly ever send one; nothing needs to be done"
ERRORS = "give each rule one value, so that no two of them can conflict"
MEMBERS = (
    "compare the members with constants or headers, x in xs, which takes one field; of 128 an array takes "
    "eight for each thing that is asked of its members, and one in its members four times as many"
)
TOO_MANY = "compare the whole path, a header or a claim, which Envoy looks up in maps of any size"
TOO_LARGE = (
    "let one rule find a value, such as a reason, and look up in tables what follows from it, such as a "
    "status, in place of rules with conditions of their own; take texts of large tables apart, "
    'split(permission, ":") == [resource, verb], in place of making each of them by sprintf'
)
NO_ROOM = (
    "ask for less in each of the largest rules, or keep what they compare with in tables that they look up; "
    "let tokens carry the roles that a table gives to a hundred thousand users"
)
KNOWN_USERS = (
    "nothing needs to be done: only requests in the name of a user whom the policy knows are asked about"
)
REPLACEMENT = "U+FFFD stands for bytes that are no UTF-8: compare input.attributes.request.http.path"


def of_builtin(name: str) -> str:
    """What to write in place of a call on values of the request."""
    sign = _OPERATORS.get(name)
    if sign is not None:
        return _ORDERED if sign in _ORDER else _COLLECTION if sign in ("&", "|") else _ARITHMETIC
    return next((hint for start, hint in _FAMILIES if name.startswith(start)), _OTHER)


def of_call(term: Apply) -> tuple[str, str]:
    """Why a call is for the engine, in words, and what to write in its place."""
    if OBJECT in (term.name, *(inner.name for inner in term.args[:1] if isinstance(inner, Apply))):
        return "makes an object whose keys the request brings", _ENTRIES
    if term.name in (".", "count") and isinstance(term.args[0], Apply):  # [_, x] := f(..) counts, too
        inner = _innermost(term.args[0])
        name = _OPERATORS.get(inner.name, inner.name)
        hint = _of_constraints(inner) or of_builtin(name)
        if str(term).startswith(("split(base64.", "split(base64url.")):
            hint = _BASIC
        return f"looks into what {name} makes of the request", hint
    sign = _OPERATORS.get(term.name)
    if sign in _ORDER:
        return f"compares by {sign} what Envoy cannot", _ORDERED
    if sign is not None:
        return f"calculates with {sign} on what the request brings", of_builtin(term.name)
    return f"calls {term.name} on what the request brings", of_builtin(term.name)


def _innermost(term: Apply) -> Apply:
    """The call whose answer is walked into."""
    while term.name == "." and isinstance(term.args[0], Apply):
        term = term.args[0]
    return term


_KEYS = frozenset(("cert", "secret"))
_NO_KEYS = (
    'the constraints have neither "cert" nor "secret", and without keys no token is verified: the call is'
    " undefined; give the issuer's public keys, or the shared secret"
)


def _of_constraints(call: Apply) -> str:
    """What to do about constraints of a token that have no keys, or that the request brings; empty where none
    but keys does."""
    match call:
        case Apply("io.jwt.decode_verify", (_, Known(dict() as known))) if not known.keys() & _KEYS:
            return _NO_KEYS
        case Apply("io.jwt.decode_verify", (_, ObjectOf(items))):
            if not {form for form, _ in items} & _KEYS:
                return _NO_KEYS
            brought = sorted(str(form) for form, item in items if not isinstance(item, Known))
            if brought and not {*brought} & _KEYS:
                names = ", ".join(map('"{}"'.format, brought))
                return (
                    f"the keys are constant, but {names} is what the request brings: give a constant, in one"
                    " call for each issuer or audience"
                )
    return ""


def of_pair(left: Symbol, right: Symbol) -> str:
    """What to compare in place of two values of the request."""
    calls = [side for side in (left, right) if isinstance(side, Apply)]
    if calls:
        # What is made of a text, and not what it is looked up in, as in a decoded token.
        return of_call(min(calls, key=lambda each: each.name == "."))[1]
    unseen = next((side for side in (left, right) if "body" in str(side)), None)
    if unseen is not None:
        return of_invisible(unseen)
    return (
        "headers, claims, path segments, the first value of a query parameter and texts made of one of them "
        "compare with each other natively"
    )


def of_loop(source: Symbol) -> str:
    """What to ask in place of a loop over a collection of the request."""
    if isinstance(source, Apply):
        return of_call(source)[1]
    if "parsed_path" in str(source):
        return "name the segment, input.parsed_path[N], or compare the segments with constants"
    if "parsed_query" in str(source):
        return (
            "compare the values of a parameter with constants, or its first one: input.parsed_query.name[0]"
        )
    return "compare the members with constants, with data, or with one header: x in claims.roles"


def of_invisible(term: Symbol) -> str:
    """What to read in place of a value that Envoy's matchers do not have."""
    if isinstance(term, Apply) and (term.name != "." or isinstance(term.args[0], Apply)):
        return of_call(term)[1]
    text = str(term)
    if "parsed_body" in text:
        return "compare fields of the body, or members of their arrays, with texts, numbers, true or false"
    if ".body" in text or "rawBody" in text:
        return "read input.parsed_body: fields of JSON bodies are native"
    if "headers" in text:
        return 'name the header by a constant: input.attributes.request.http.headers["x-name"]'
    if "parsed_query" in text:
        return 'name the parameter by a constant of plain characters: input.parsed_query["name"]'
    if "identity" in text:
        return "name the claim by constants: input.identity.claims.a.b"
    if "time" in text:
        return _TIMES
    return (
        "Envoy decides by method, path, query, host, headers, claims, the client's address and who calls: "
        "decide by these first, and only the rest is asked"
    )


_DOUBTS = (
    ("no text of at most", "JSON, forms and other texts that say their length are decided natively"),
    (
        "a token is there",
        "requests with a token that is signed as it must be, with a forged one or with none "
        "are decided natively: only unusual tokens cost a call",
    ),
    (
        "so near to each other",
        "whole numbers, and others that are not on the very limit, are decided natively",
    ),
    ("no address of IPv4", "clients with IPv4 are decided natively"),
    ("running second", "times in whole seconds, as issuers write them, are decided natively"),
    (
        "the query has",
        "clients that send plain queries are decided natively; a path segment or a header always is",
    ),
    ("the path has escapes", "requests whose segment has no escape are decided natively"),
    ("Base64", "programs that send ASCII, encoded as RFC 4648 has it, are decided natively"),
    (
        "plain digits",
        "numbers without a sign, a point or an exponent, and plain versions, are decided natively",
    ),
    (
        "two values for one name",
        "cookies and other entries in ASCII, each of which is there once, are read natively",
    ),
    ("a header has letters beyond ASCII", "requests whose headers are in ASCII are decided natively"),
    ("holds no plain", "tokens and JSON as programs write them, in ASCII, are decided natively"),
    (
        "plain JSON",
        "programs that send JSON or a form with its length are decided natively, however it is written",
    ),
    ("is an object", "requests in which it is an array are decided natively; nothing needs to be done"),
    ("more than", "requests with fewer are decided natively; == and x in claim are for any number"),
    (
        "is no string",
        'tokens in which the claim is a string are decided natively; concat("", [x]) takes nothing else',
    ),
    ("is a time that is written", "times as programs write them, of 1970 to 2259, are decided natively"),
    (
        "two values are both",
        "requests in which one is a string, a number or a boolean are decided natively",
    ),
)


ONE_OF_SEVERAL = "give the rule a value by a path of constant names, or ask for a member by some"


def of_doubt(when: str) -> str:
    """What to know of requests for which a native rule needs the engine."""
    return next((hint for part, hint in _DOUBTS if part in when), "all other requests are decided natively")


_LARGE = "compare the parts that it is made of, and put a value into another once only"

_UNFOLLOWED = (
    ("not known before the request", ""),
    (" of a schema, ", "ask in its place by pattern, enum, minimum and the like, which are native"),
    (
        "by a name that depends on the request",
        "name the rule by constants, or make the rules entries of data",
    ),
    (
        "whose keys depend",
        _ENTRIES,
    ),
    ("merges documents", "refer to the rules one by one"),
    ("composite key", "compare the parts of the key one by one"),
    ("looks up a boolean", "look it up by a number or a text"),
    (
        "a number, in place of a text",
        "look it up in the document itself, data.blocked[x], in place of what a rule makes of it",
    ),
    ("a text of digits", "let data hold an object with those texts as keys, in place of the array"),
    ("a replaced part of the input", "refer to it by constant names below `with`"),
    ("`with`", "replace all of the input, input.x or data by constants only; or make the rule a function"),
    (
        "too many different outcomes",
        "split the rule, or look its value up in data by a key of the request, and loop over no table",
    ),
    ("too many levels", "call fewer rules and functions one from another"),
    ("too much work", "let data hold a table that is looked up by a key, in place of loops within loops"),
    ("a value that is too large", _LARGE),
    ("order in which members come", "leave out what can conflict: give the rule one value"),
    ("results that differ", "ask for one member with some, and compare it in the same rule"),
    ("leaves a negation", "put what is negated into a rule of its own"),
    ("lists a set", 'join or count the set itself: concat(", ", xs), count(xs)'),
    ("counts members", _COLLECTION),
    ("the first of several", "ask for a member by some, and compare it in the same rule"),
    ("place of a member", _COLLECTION),
    ("collects members", _COLLECTION),
    (
        "gives a value for each member",
        "let the loop only ask, in a rule that is true, and give a value that does not come of the member",
    ),
    ("iterates over", _COLLECTION),
    ("collection", _COLLECTION),
    ("an object that is not known", _OBJECT),
    ("depend on the request", _COLLECTION),
    ("cannot be followed", "make the value in a rule of its own, by comparisons with constants or data"),
)


def of_unfollowed(reason: str) -> str:
    """What to do about what partial evaluation could not follow, from its own words."""
    if reason.startswith("calls ") and "not known before" in reason:
        return of_builtin(reason.split()[1].rstrip(","))
    return next((hint for part, hint in _UNFOLLOWED if part in reason), _OTHER)
