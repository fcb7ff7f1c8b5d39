"""The warnings of `palisade check` on modules that a test writes."""

from __future__ import annotations

from pathlib import Path

from palisade.policy import revisions, sets, warnings


def warned(
    folder: Path, *, strict: bool = False, decision: tuple[str, ...] = (), **files: str
) -> list[tuple[str, int, str]]:
    """The file, row and message of each warning."""
    for name, text in files.items():
        (folder / f"{name}.rego").write_text(text)
    loaded = sets.load(folder, shown="p")
    served, tested = revisions.compile_set(loaded), revisions.compile_set(loaded, tests=True)
    found = warnings.find(served, tested, loaded, strict=strict, decision=decision)
    return [(each.file, each.row, f"{each.message}; {each.hint}") for each in found]
