"""The `tls` of functions whose sidecars run on this machine: whether the files can serve."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from palisade.control.sidecar_settings import settings_of_tls
from palisade.policy.inventory import Function, Inventory, InventoryError
from palisade.policy.source import CONFIG_ERROR
from palisade.rego.errors import Diagnostic
from palisade_sidecar.tls_files import Problem, problems, warnings

log = logging.getLogger(__name__)


def check(inventory: Inventory, functions: Iterable[Function]) -> None:
    """Raises InventoryError, by lines of palisade.yaml, for files that cannot serve; warns of bad ones."""
    errors: list[Diagnostic] = []
    for function in functions:
        told = settings_of_tls(function.tls)
        if told is None:
            continue
        for each in problems(told):
            errors.append(_diagnostic(inventory, function, each))
        for each in warnings(told):
            log.warning("%s", _diagnostic(inventory, function, each))
    if errors:
        raise InventoryError(errors)


def _diagnostic(inventory: Inventory, function: Function, problem: Problem) -> Diagnostic:
    setting = f"functions.{function.name}.tls.{problem.setting}"
    return inventory.error(CONFIG_ERROR, f"{setting}: {problem.message}", problem.hint, setting)
