package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

allow if count(deny) == 0

deny contains "the path leaves its folder" if contains(http_request.path, "..")

deny contains msg if {
	some extension in data.forbidden_extensions
	endswith(http_request.path, extension)
	msg := sprintf("files ending in %s are not served", [extension])
}

deny contains "no user agent" if not http_request.headers["user-agent"]

deny contains msg if {
	agent := lower(http_request.headers["user-agent"])
	some bot in data.bots
	contains(agent, bot)
	msg := sprintf("%s may not come in", [bot])
}

deny contains "only JSON" if {
	http_request.method in {"POST", "PUT"}
	not startswith(object.get(http_request.headers, "content-type", ""), "application/json")
}
