"""`python -m bench.rego [--json]`: evaluation against regopy, and cost by size."""

from __future__ import annotations

import argparse
import json

from bench.rego.measure import evaluation, size
from bench.report import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rego", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    reports = [evaluation(), size()]
    if options.json:
        print(json.dumps({report.name: report.plain() for report in reports}, indent=2))
    else:
        print("\n".join(map(table, reports)))


if __name__ == "__main__":
    main()
