"""Answers to the questions that a policy leaves open: what of it is native, and why a request was denied.

`rules` finds the rules of a decision in their sources, `places` the expression that a reason speaks of,
`coverage` says of each rule where it is decided, `sizes` what a sidecar gets for it.
"""
