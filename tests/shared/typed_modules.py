"""Modules whose rules find something: every term has the type that is asked for, and inputs have the shapes
that rules look into. What is drawn untyped mostly ends at the first statement that is undefined."""

from __future__ import annotations

from random import Random
from typing import Any

Names = list[tuple[str, str]]
"""Variables with their types."""

_TEXTS = ('"a"', '"b"', '"x"', '"admin"', '""')
_WORDS = ("a", "b", "x", "admin", "")
_MEMBERS = {"users": "user", "notes": "note", "texts": "text", "set": "text", "map": "number"}


class Typed:
    """One module `p`, its rules by `names`, and documents to ask them about."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._count = 0
        self._rules: dict[str, list[str]] = {}
        self.names: list[str] = []
        lines = [line for number in range(self._random.randint(2, 5)) for line in self._rule(f"r{number}")]
        self.source = "package p\n\n" + "\n".join(lines) + "\n"

    def document(self) -> dict[str, Any]:
        """An input, or what stands below `data.d`."""
        r = self._random
        users = [self._user(name) for name in r.sample(_WORDS, r.randint(0, 3))]
        tags = [r.choice(_WORDS) for _ in range(r.randint(0, 3))]
        found = {
            "us": users,
            "me": r.choice(_WORDS),
            "n": r.randint(0, 3),
            "t": r.random() < 0.5,
            "tags": tags,
        }
        return {**found, "o": {r.choice(_WORDS): r.randint(0, 3) for _ in range(r.randint(0, 3))}}

    def _user(self, name: str) -> dict[str, Any]:
        r = self._random
        notes = [{"x": r.choice(_WORDS)} for _ in range(r.randint(0, 2))]
        user = {"id": name, "n": r.randint(0, 3), "ns": notes, "o": {r.choice(_WORDS): 1}}
        return {key: value for key, value in user.items() if r.random() < 0.95}

    # Rules ----------------------------------------------------------------------------------------------

    def _rule(self, name: str) -> list[str]:
        r = self._random
        kind = r.choice(("complete", "set", "keyed", "sets", "true", "else", "deep"))
        rules: list[str] = []
        for _ in range(1 if kind in ("complete", "else") else r.randint(1, 2)):
            names: Names = []
            body = self._body(names, 2, r.randint(1, 3))
            key, text, number = (self._term(each, names, 2) for each in ("text", "text", "number"))
            value = self._term(r.choice(("number", "texts", "set", "map", "sets", "sets")), [], 3)
            rules += {
                "complete": [f"{name} := {value}"],
                "set": [f"{name} contains {text} if {{ {body} }}"],
                "keyed": [f"{name}[{key}] := {number} if {{ {body} }}"],
                "sets": [f"{name}[{key}] contains {text} if {{ {body} }}"],
                "true": [f"{name} if {{ {body} }}"],
                "else": [f"{name} := {number} if {{ {body} }} else := {value}"],
                "deep": [f"{name}[{key}][{text}] := {self._term('texts', names, 2)} if {{ {body} }}"],
            }[kind]
        type_ = {"set": "set", "keyed": "map"}.get(kind)
        if type_:
            self._rules.setdefault(type_, []).append(name)
        self.names.append(name)
        return rules

    def _body(self, names: Names, depth: int, count: int) -> str:
        return "; ".join(self._statement(names, depth, first=at == 0) for at in range(count))

    def _statement(self, names: Names, depth: int, *, first: bool = False) -> str:
        r, chance = self._random, self._random.random()
        if (first and chance < 0.6) or chance < 0.25:
            kind = r.choice(tuple(_MEMBERS))
            source, new = self._term(kind, names, depth), self._new()
            names.append((new, _MEMBERS[kind]))
            return f"some {new} in {source}"
        if chance < 0.45:
            kind = r.choice(("text", "number", "texts", "set", "map"))
            value, new = self._term(kind, names, depth), self._new()
            names.append((new, kind))
            return f"{new} := {value}"
        changed = r.choice(("", "", "", " with input.me as data.d.me", " with input.us as data.d.us"))
        if chance < 0.6:
            left, right = self._term("text", names, depth), self._base("text", names)
            return f"{left} {r.choice(('==', '!=', '<'))} {right}{changed}"
        if chance < 0.7:
            return f"not {self._base('text', names)} in {self._term('set', names, depth)}{changed}"
        if chance < 0.8 and depth:
            new = self._new()
            return f"every {new} in {self._term('texts', names, depth - 1)} {{ {new} != {r.choice(_TEXTS)} }}"
        return f"{self._term('number', names, depth)} < {self._base('number', names)}"

    def _new(self) -> str:
        self._count += 1
        return f"v{self._count}"

    # Terms ----------------------------------------------------------------------------------------------

    def _term(self, kind: str, names: Names, depth: int) -> str:
        r = self._random
        known = [name for name, type_ in names if type_ == kind] + self._rules.get(kind, [])
        if known and r.random() < 0.4:
            return r.choice(known)
        if depth <= 0 or kind in ("users", "user", "notes", "note") or (kind != "sets" and r.random() < 0.3):
            return self._base(kind, names)

        def of(kind: str) -> str:
            return self._term(kind, names, depth - 1)

        if kind == "text":
            return r.choice((f"upper({of('text')})", f'concat(",", {of("texts")})'))
        if kind == "number":
            return r.choice(
                (f"count({of('set')})", f"count({of('map')})", f"({of('number')} + {of('number')})")
            )
        if kind == "texts":
            return r.choice(
                (self._gathered("[]", "text", names, depth), f"[{of('text')}]", f"sort({of('set')})")
            )
        if kind == "set":
            gathered = self._gathered("{}", "text", names, depth)
            return r.choice(
                (
                    gathered,
                    gathered,
                    f"({of('set')} {r.choice('&|-')} {of('set')})",
                    f"object.keys({of('map')})",
                )
            )
        return self._by_key("number" if kind == "map" else r.choice(("texts", "set", "map")), names, depth)

    def _base(self, kind: str, names: Names) -> str:
        r = self._random
        users = [name for name, type_ in names if type_ == "user"] or ["input.us[0]"]
        notes = [name for name, type_ in names if type_ == "note"] or ["input.us[0].ns[0]"]
        user = r.choice(users)
        return r.choice(
            {
                "text": (
                    *_TEXTS,
                    "input.me",
                    "data.d.me",
                    f"{user}.id",
                    f"{user}.id",
                    f"{r.choice(notes)}.x",
                ),
                "number": ("0", "1", "input.n", "data.d.n", f"{user}.n"),
                "texts": ("input.tags", "data.d.tags"),
                "set": ('{"a", "x"}',),
                "map": ("input.o", f"{user}.o"),
                "users": ("input.us", "data.d.us"),
                "user": (user,),
                "notes": (f"{user}.ns",),
                "note": (r.choice(notes),),
                "sets": ('{"a": {"x"}}',),
            }[kind]
        )

    def _gathered(self, brackets: str, kind: str, names: Names, depth: int) -> str:
        inner = list(names)
        body = self._body(inner, depth - 1, self._random.randint(1, 2))
        return f"{brackets[0]}{self._term(kind, inner, depth - 1)} | {body}{brackets[1]}"

    def _by_key(self, kind: str, names: Names, depth: int) -> str:
        user = self._new()
        inner = [*names, (user, "user")]
        body = f"some {user} in {self._base('users', names)}"
        if self._random.random() < 0.5:
            body += f"; {self._statement(inner, depth - 1)}"
        return f"{{{user}.id: {self._term(kind, inner, depth - 1)} | {body}}}"
