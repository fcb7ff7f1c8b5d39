"""What Envoy evaluates: predicates, the trees they become, and how large these may get.

`predicate` holds the tests that Envoy knows, `bounds` pairs of them, `cel` its expressions. `tree` makes one
matcher of a list of rules, with the help of the others.
"""
