"""`# METADATA` blocks: YAML in comments, about the package or rule behind them.

Source: https://www.openpolicyagent.org/docs/policy-language#metadata
"""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from palisade.rego import ast
from palisade.rego.cursor import keywords_of
from palisade.rego.errors import CompileError, Location
from palisade.rego.fragments import FragmentParser
from palisade.rego.values import from_python

_RULE_SCOPES = ("rule", "document")
_PACKAGE_SCOPES = ("package", "subpackages")
# YAML's aliases let a few lines stand for any amount of data; nobody's metadata is that large.
_MAX_VALUES = 10_000
_MAX_NESTING = 50


class AnnotationError(Exception):
    """What is wrong with a block, and the place where that is not the block's first line."""

    def __init__(self, message: str, location: Location | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location


@dataclass(frozen=True, slots=True)
class Target:
    """What an annotation may stand before: a "package", an "import" or a "rule"."""

    kind: str
    loc: Location


@dataclass(frozen=True, slots=True)
class Block:
    """The comments of one annotation, the first of which says METADATA."""

    comments: tuple[ast.Comment, ...]

    @property
    def loc(self) -> Location:
        """The place of its first line."""
        return self.comments[0].loc

    @property
    def text(self) -> str:
        return "".join(f"{comment.text.removeprefix(' ')}\n" for comment in self.comments[1:])


def blocks(comments: Sequence[ast.Comment]) -> list[Block]:
    """The metadata blocks of a file: comments in the first column, on lines that follow each other. Each that
    says METADATA begins one."""
    found: list[Block] = []
    current: list[ast.Comment] = []
    for comment in comments:
        at = comment.loc
        begins = comment.text.strip().startswith("METADATA")
        if current and not begins and at.row == current[-1].loc.row + 1 and at.col == 1:
            current.append(comment)
            continue
        if current:
            found.append(Block(tuple(current)))
        current = [comment] if begins else []
    if current:
        found.append(Block(tuple(current)))
    return found


def annotation(block: Block, targets: Sequence[Target]) -> ast.Annotation:
    """The annotation in a block, with the first target behind it; targets stand in source order.

    Its value has what `rego.metadata.rule` returns: the fields that were written and the scope, authors and
    related resources as objects, paths as arrays. Raises AnnotationError.
    """
    fields = _load(block)
    behind = bisect_right(targets, block.loc.row, key=lambda each: each.loc.row)
    target = targets[behind] if behind < len(targets) else None
    entrypoint = fields.get("entrypoint", False)
    scope = fields.get("scope") or _default_scope(target, entrypoint=bool(entrypoint))
    _check_scope(scope, target)
    if entrypoint and scope not in ("document", "package"):
        raise AnnotationError(f"annotation entrypoint applied to non-document or package scope '{scope}'")
    value = {name: _FIELDS[name](fields[name]) for name in _FIELDS if name in fields}
    value = {name: item for name, item in value.items() if item not in (None, "", [], {}, False)}
    value["scope"] = scope
    value.pop("compile", None)
    assert target is not None  # noqa: S101 - `_check_scope` refused the others
    return ast.Annotation(scope, from_python(value), target.loc, loc=block.loc)


# Scopes


def _default_scope(target: Target | None, *, entrypoint: bool) -> str:
    if target is None:
        return ""
    if target.kind == "rule":
        return "document" if entrypoint else "rule"
    return target.kind


def _check_scope(scope: str, target: Target | None) -> None:
    for scopes, kind in ((_RULE_SCOPES, "rule"), (_PACKAGE_SCOPES, "package")):
        if scope in scopes:
            if target is None or target.kind != kind:
                have = f" (have {target.kind})" if target else ""
                raise AnnotationError(f"annotation scope '{scope}' must be applied to {kind}{have}")
            return
    raise AnnotationError(
        f"invalid annotation scope '{scope}'. Use one of 'rule', 'document', 'package', or 'subpackages'"
    )


# YAML


def _load(block: Block) -> dict[str, Any]:
    text = block.text
    if not text.strip():
        raise AnnotationError("expected METADATA block, found whitespace")
    try:
        loaded = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        at = block.comments[min(line, len(block.comments) - 1)].loc
        raise AnnotationError(f"yaml: line {line}: {error.problem or error.context}", at) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise AnnotationError(f"yaml: {error}") from error
    if loaded is None:
        return {}
    plain = _plain(loaded, (), [_MAX_VALUES])
    if not isinstance(plain, dict):
        raise AnnotationError(
            "yaml: a METADATA block is an object of fields such as `title` and `description`"
        )
    return plain


def _plain(value: Any, path: tuple[str, ...], budget: list[int]) -> Any:
    """The value of plain types; dates as OPA has them, as text."""
    budget[0] -= 1
    if budget[0] < 0 or len(path) > _MAX_NESTING:
        raise AnnotationError("yaml: too much data for a METADATA block")
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise AnnotationError(f"invalid map key type(s): {'/'.join(path)}")
        return {name: _plain(item, (*path, name), budget) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, (*path, str(index)), budget) for index, item in enumerate(value)]
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "") + ("" if value.utcoffset() else "Z")
    if isinstance(value, datetime.date):
        return f"{value.isoformat()}T00:00:00Z"
    if value is None or isinstance(value, str | int | float):
        return value
    raise AnnotationError(f"yaml: {'/'.join(path)}: a {type(value).__name__} cannot be metadata")


# Fields


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise AnnotationError(f"yaml: cannot unmarshal {_shape(value)} into string")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _texts(value: Any) -> list[str]:
    return [_text(item) for item in _list(value)]


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise AnnotationError(f"yaml: cannot unmarshal {_shape(value)} into array")
    return value


def _object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AnnotationError(f"yaml: cannot unmarshal {_shape(value)} into object")
    return value


def _flag(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise AnnotationError(f"yaml: cannot unmarshal {_shape(value)} into boolean")
    return bool(value)


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else f"`{value}`"


def _authors(value: Any) -> list[dict[str, str]]:
    return [_author(item) for item in _list(value)]


def _author(value: Any) -> dict[str, str]:
    """`Name <email>` or an object with either."""
    if isinstance(value, str):
        words = value.split()
        if not words:
            raise AnnotationError(f"invalid author definition {value}: author is an empty string")
        email = ""
        if len(words[-1]) > 1 and words[-1].startswith("<") and words[-1].endswith(">"):
            email = words.pop()[1:-1]
        return _written({"name": " ".join(words), "email": email})
    if isinstance(value, dict):
        author = _written({"name": _string(value, "name"), "email": _string(value, "email")})
        if not author:
            raise AnnotationError(
                f"invalid author definition {value}: 'name' and/or 'email' values required in object"
            )
        return author
    raise AnnotationError(f"invalid author definition {value}: invalid value type, must be string or map")


def _resources(value: Any) -> list[dict[str, str]]:
    return [_resource(item) for item in _list(value)]


def _resource(value: Any) -> dict[str, str]:
    """A URL, or an object with `ref` and perhaps a description."""
    if isinstance(value, str):
        resource = {"ref": value}
        missing = "ref URL may not be empty string"
    elif isinstance(value, dict):
        resource = _written({"ref": _string(value, "ref"), "description": _string(value, "description")})
        missing = "'ref' value required in object"
    else:
        raise AnnotationError(
            f"invalid related-resource definition {value}: invalid value type, must be string or map"
        )
    ref = resource.get("ref", "")
    if not ref:
        raise AnnotationError(f"invalid related-resource definition {value}: {missing}")
    problem = _url_problem(ref)
    if problem:
        raise AnnotationError(f"invalid related-resource definition {value}: {problem}")
    return resource


def _url_problem(ref: str) -> str:
    """What makes a text no URL; empty where it is one."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in ref):
        return "invalid control character in URL"
    if ref.startswith(":"):
        return "missing protocol scheme"
    try:
        # The port is read, and refused, on demand only.
        _ = urlsplit(ref).port
    except ValueError as error:
        return str(error)
    return ""


def _schemas(value: Any) -> list[dict[str, Any]]:
    return [
        _schema(path, schema) for item in _list(value) for path, schema in list(_object(item).items())[:1]
    ]


def _schema(path: str, schema: Any) -> dict[str, Any]:
    """`input.x: schema.y`, or a schema itself below the path."""
    parts = _reference(path)
    if parts is None:
        raise AnnotationError("invalid document reference")
    if isinstance(schema, str):
        reference = _reference(schema)
        if reference is None or reference[0] != "schema":
            raise AnnotationError("invalid schema reference")
        return {"path": parts, "schema": reference}
    if isinstance(schema, dict):
        return {"path": parts, "definition": schema}
    raise AnnotationError(f'invalid schema declaration for path "{path}"')


def _compile(value: Any) -> None:
    """`unknowns` and `mask_rule` are OPA's, for data filters: checked here, and used by nothing."""
    fields = _object(value)
    unknowns = fields.get("unknowns")
    for unknown in unknowns if isinstance(unknowns, list) else ():
        if isinstance(unknown, str) and _reference(unknown) is None:
            raise AnnotationError(f'invalid unknowns element "{unknown}"')
    mask = fields.get("mask_rule")
    if isinstance(mask, str) and _reference(mask) is None:
        raise AnnotationError(f'invalid mask_rule annotation "{mask}"')


def _reference(text: str) -> list[str] | None:
    """The parts of a reference, or None where the text is none."""
    try:
        term = FragmentParser(text, "", keywords_of(1)).single_term()
    except CompileError:
        return None
    if isinstance(term, ast.Var):
        return [term.name]
    if not isinstance(term, ast.Ref) or not isinstance(term.head, ast.Var):
        return None
    return [term.head.name, *(str(part.value) for part in term.path if isinstance(part, ast.Scalar))]


def _string(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found.strip() if isinstance(found, str) else ""


def _written(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


_FIELDS: dict[str, Any] = {
    "title": _text,
    "description": _text,
    "organizations": _texts,
    "related_resources": _resources,
    "authors": _authors,
    "schemas": _schemas,
    "custom": _object,
    "entrypoint": _flag,
    "compile": _compile,
}
