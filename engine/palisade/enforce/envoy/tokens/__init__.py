"""Tokens: those that a policy takes apart itself, and those of its providers, for Envoy's JWT filter."""
