"""Conditions of a policy lowered to predicates, each bounded from both sides. `lower` is where it begins."""
