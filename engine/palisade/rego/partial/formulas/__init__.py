"""Conditions on a request as formulas over atoms, and the terms that atoms are about."""
