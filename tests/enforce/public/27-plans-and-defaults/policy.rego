package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


plan := object.get(data.plans, http_request.headers["x-tenant"], "free")

limit := object.get({"free": 1, "team": 3, "company": 9}, plan, 0)

needed := object.get(data.roles, http_request.method, ["owner"])

allow if {
	count(input.parsed_path) <= limit
	object.get(http_request.headers, "x-role", "guest") in needed
}
