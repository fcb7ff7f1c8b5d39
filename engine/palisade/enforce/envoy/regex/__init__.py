"""Regular expressions of RE2: what a policy asks of a text, a path or its segments, as one expression.

They know nothing of requests or policies. Envoy's string matchers for whole builtins stand here, too.
"""
