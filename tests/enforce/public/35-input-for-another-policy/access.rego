package library.access

import rego.v1

default granted := false

granted if {
	some role in input.user.roles
	some grant in data.library.grants[role]
	grant.verb == input.verb
	grant.kind == input.of.kind
}

granted if {
	input.of.kind == "users"
	input.of.id == input.user.id
}

granted if "librarian" in input.user.roles
