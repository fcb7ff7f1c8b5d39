# METADATA
# title: Claims of a verified token
# description: >-
#   The same questions for tokens of different makers. All are undefined or empty without a verified token.
package palisade.lib.claims

# So that sets in the older Rego v0 can import it too.
import rego.v1

# METADATA
# description: Who calls, the claim sub of RFC 7519.
subject := input.identity.claims.sub

# METADATA
# description: >-
#   The caller's roles, wherever the issuer puts them: roles (RFC 9068, Entra), groups, or realm_access.roles
#   (Keycloak).
roles contains role if some role in input.identity.claims.roles

roles contains role if some role in input.identity.claims.groups

roles contains role if some role in input.identity.claims.realm_access.roles

# METADATA
# description: The scopes that were granted to the client, from scope (RFC 8693, a string) or scp (an array).
scopes contains scope if some scope in split(input.identity.claims.scope, " ")

scopes contains scope if some scope in input.identity.claims.scp
