"""`python -m bench [NAME ...] [--json]`: runs measurements and prints what they found."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable

import uvloop

from bench import enforce, latency, reload, residual
from bench.rego.measure import evaluation, size
from bench.report import Report, table

SUITES: dict[str, Callable[[], Iterable[Report]]] = {
    "latency": lambda: [asyncio.run(latency.run())],
    "enforce": enforce.run,
    "residual": lambda: [uvloop.run(residual.run())],
    "reload": lambda: [asyncio.run(reload.run())],
    "rego": lambda: [evaluation(), size()],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure, and print ratios against a baseline of the same run."
    )
    parser.add_argument(
        "names", nargs="*", choices=[[], *SUITES], help=f"which of: {', '.join(SUITES)}; all by default"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    reports: list[Report] = []
    for name in options.names or SUITES:
        for report in SUITES[name]():
            reports.append(report)
            if not options.json:
                print(table(report), flush=True)
    if options.json:
        print(json.dumps({report.name: report.plain() for report in reports}, indent=2))


if __name__ == "__main__":
    main()
