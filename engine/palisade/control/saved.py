"""The last policy set that compiled, on disk: an engine that restarts amid a broken edit goes on with it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import MappingProxyType

from palisade.policy.sets import PolicySet
from palisade.rego import text

log = logging.getLogger(__name__)

FILE = "last-good-policies.json"


def save(state: Path, policy_set: PolicySet) -> None:
    """Writes the set, readable for its owner only, at one instant. What cannot be written is logged."""
    content = {
        "root": str(policy_set.root),
        "rego_version": policy_set.rego_version,
        "digest": policy_set.digest,
        "modules": dict(policy_set.modules),
        "data": policy_set.data,
    }
    aside = state / f"{FILE}.new"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.dumps(content))
        aside.replace(state / FILE)
    except (OSError, UnicodeEncodeError) as error:
        log.warning("the policies cannot be saved for a restart: %s", error)


def load(state: Path, root: Path) -> PolicySet | None:
    """The set that was saved for a folder; None where there is none that can be read."""
    try:
        content = text.loads((state / FILE).read_text(encoding="utf-8"))
        if content["root"] != str(root):
            return None
        return PolicySet(
            root=root,
            modules=MappingProxyType(content["modules"]),
            tests=MappingProxyType({}),
            data=content["data"],
            digest=content["digest"],
            rego_version=content["rego_version"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the policies saved for a restart cannot be read: %s", error)
        return None
