"""`python -m bench [NAME ...] [--json]`: runs measurements and prints what they found."""

from __future__ import annotations

import argparse
import asyncio
import json

from bench import latency, reload
from bench.report import Report, table

SUITES = {"latency": latency.run, "reload": reload.run}


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
        report = asyncio.run(SUITES[name]())
        reports.append(report)
        if not options.json:
            print(table(report), flush=True)
    if options.json:
        print(json.dumps({report.name: report.plain() for report in reports}, indent=2))


if __name__ == "__main__":
    main()
