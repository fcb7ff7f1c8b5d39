"""`palisade demo`: everything at once on one machine, with real parts, to look at or to check by itself.

`stage` starts an OIDC provider, two functions, the engine and the sidecars; `screen` shows them to a person,
`tour` puts requests to them and holds the answers against what they should be.
"""
