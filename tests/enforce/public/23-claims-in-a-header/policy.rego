package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


user := json.unmarshal(base64url.decode(http_request.headers["x-userinfo"]))

allow if {
	http_request.path == "/reports"
	"finance" in user.groups
}

allow if {
	["profile", name] = input.parsed_path
	name == user.preferred_username
	user.email_verified
}

allow if http_request.method == "OPTIONS"
