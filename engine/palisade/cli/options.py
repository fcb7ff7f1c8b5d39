"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

InventoryFile = Annotated[
    Path, typer.Option("--file", "-f", help="The inventory.", metavar="FILE", show_default=True)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell what happens, step by step.")]
