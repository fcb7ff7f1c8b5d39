"""JSON schemas of the input and of base documents, for the type checker: see `rego.check.schemas`.

As `opa check --schema` reads them (https://www.openpolicyagent.org/docs/latest/policy-language/#schema): a
file describes the input; `acl/user.json` in a folder is what annotations call `schema.acl.user`. Beyond OPA,
which leaves it to annotations, `input.json` in a folder describes the input of every rule, and
`data/roles.json` the document `data.roles`.
"""

from __future__ import annotations

import os
from pathlib import Path

from palisade.policy import data
from palisade.policy.source import LOAD_ERROR, SourceError, read_text
from palisade.rego.builtins.json_schemas import json_verify_schema
from palisade.rego.check.schemas import SchemaError, schema_type
from palisade.rego.errors import Diagnostic, Location
from palisade.rego.values import Value, type_name

_SUFFIXES = frozenset({".json", ".yaml", ".yml"})


def load(path: Path) -> dict[str, Value]:
    """The schemas in a file or a folder, by the names that `rego.compile` takes.

    Raises SourceError with all that cannot be read or is no schema.
    """
    errors: list[Diagnostic] = []
    found: dict[str, Value] = {}
    origins: dict[str, Path] = {}
    if not os.path.isdir(path):  # Path.is_dir ends in an error where that may not be seen
        schema = _read(path)
        if isinstance(schema, Diagnostic):
            raise SourceError([schema])
        return {"schema": schema}
    for file in _files(path):
        parts = file.relative_to(path).with_suffix("").parts
        name = ".".join(("schema", *parts))
        schema = _read(file)
        if isinstance(schema, Diagnostic):
            errors.append(schema)
        elif any("." in part for part in parts):
            errors.append(_error(file, "a schema's name has no dots", "rename the file or its folder"))
        elif name in found:
            errors.append(_error(file, f"{name} is defined twice", f"{origins[name]} defines it too"))
        else:
            found[name], origins[name] = schema, file
            if parts == ("input",) or (parts[0] == "data" and len(parts) > 1):
                found[".".join(parts)] = schema
    if not found and not errors:
        errors.append(_error(path, "no schemas in the folder", "name a folder with .json or .yaml files"))
    if errors:
        raise SourceError(errors)
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(
        Path(above, name)
        for above, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix in _SUFFIXES and not name.startswith(".")
    )


def _read(file: Path) -> Value | Diagnostic:
    text = read_text(file, str(file), LOAD_ERROR)
    if isinstance(text, Diagnostic):
        return text
    schema = data.read(str(file), text)
    if isinstance(schema, Diagnostic):
        return schema
    if not isinstance(schema, dict):
        return _error(file, f"a JSON schema is an object, but this is of type {type_name(schema)}")
    try:
        sound, problem = json_verify_schema(schema)
        if not sound:
            return _error(file, f"no JSON schema: {str(problem).removeprefix('jsonschema: ')}")
        schema_type(schema)
    except SchemaError as error:
        return _error(file, f"no JSON schema: {error}")
    except RecursionError:
        return _error(file, "nested too deep to be read")
    return schema


def _error(file: Path, message: str, hint: str = "") -> Diagnostic:
    return Diagnostic(LOAD_ERROR, message, Location(str(file), 1, 1), hint=hint)
