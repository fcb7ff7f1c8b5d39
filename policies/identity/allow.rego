# METADATA
# title: Who may call which function
# description: >-
#   Closed by default. A request passes where its path is public, or where a role of the caller is granted the
#   method on the function it is for.
package palisade.identity

import data.palisade.lib.claims
import data.palisade.lib.request

default allow := false

allow if {
	request.reading
	request.section in data.identity.public
}

allow if {
	some role in claims.roles
	some grant in data.identity.grants[role]
	grant.function == input.function
	request.method in grant.methods
}
