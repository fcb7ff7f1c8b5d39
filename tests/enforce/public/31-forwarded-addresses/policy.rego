package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

# The first proxy writes whom it saw; what clients write themselves stands before that.
hops := split(http_request.headers["x-original-forwarded-for"], ",")

client := trim_space(hops[count(hops) - 1])

blocked if {
	some range in data.blocked
	net.cidr_contains(range, client)
}

allow if {
	not blocked
	some range in data.offices
	net.cidr_contains(range, client)
}

allow if {
	not blocked
	client in data.partners[lower(trim_space(split(http_request.headers["x-partner"], ";")[0]))]
	startswith(http_request.path, "/partners/")
}
