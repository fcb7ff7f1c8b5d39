"""YAML. The library behind it is loaded with the first call."""

from __future__ import annotations

from palisade.rego.builtins.budget import check_parts
from palisade.rego.builtins.operands import string
from palisade.rego.builtins.registry import builtin
from palisade.rego.errors import BuiltinError
from palisade.rego.values import Value


@builtin("yaml.marshal", pure=True)
def yaml_marshal(x: Value) -> str:
    from palisade.rego.builtins import yaml_texts

    check_parts(x)
    return yaml_texts.dump(x)


@builtin("yaml.unmarshal", pure=True)
def yaml_unmarshal(x: Value) -> Value:
    """The value of the first document in the text."""
    from palisade.rego.builtins import yaml_texts

    return yaml_texts.load(string(x, 1))


@builtin("yaml.is_valid", pure=True)
def yaml_is_valid(x: Value) -> bool:
    """Whether the string is YAML; false for what is no string."""
    if type(x) is not str:
        return False
    try:
        yaml_unmarshal(x)
    except BuiltinError:
        return False
    return True
