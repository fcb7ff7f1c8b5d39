"""Globs as OPA's library has them: gobwas/glob v0.2.3, the departures from its documentation included.

`tree` reads a glob, `building` makes of it the matchers that the library would, `matchers` has these, and
`expressions` tells as a regular expression which texts they take, where that is certain.
"""
