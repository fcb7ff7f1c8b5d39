"""How fast the language is: `python -m bench.rego [--json]`."""
