package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

client := input.attributes.source.address.socketAddress.address

allow if {
	in_ranges(data.offices)
	not blocked
}

allow if {
	http_request.path == "/status"
	not blocked
}

blocked if in_ranges(data.blocked)

in_ranges(ranges) if net.cidr_contains(ranges[_], client)
