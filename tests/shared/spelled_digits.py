"""Texts that say the number of an array's member, or nearly do: OPA's store takes some of them."""

from __future__ import annotations

SPELLED = (
    *(
        "0",
        "1",
        "-1",
        "-0",
        "+1",
        "01",
        "1.0",
        "1.",
        ".0",
        ".",
        "+",
        "",
        " 1",
        "1\n",
        "1e0",
        "1e3",
        "1_0",
        "x",
    ),
    *("\u0661", "0" * 18 + "1", "0" * 19 + "1", "0" * 20, "1." + "0" * 18, "99", "8", "007", "1.5", "42"),
)
