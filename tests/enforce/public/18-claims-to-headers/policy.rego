package envoy.authz

import input.attributes.request.http as http_request

default allow = {"allowed": false, "http_status": 401, "body": "log in first"}

token = payload {
	[_, encoded] := split(http_request.headers.authorization, " ")
	[true, _, payload] = io.jwt.decode_verify(encoded, {"secret": "between us"})
}

allow = response {
	http_request.method == "GET"
	token.groups[_] == "staff"
	response := {
		"allowed": true,
		"headers": {
			"x-current-user": token.sub,
			"x-auth-by": "envoy",
		},
	}
}

allow = response {
	http_request.path == "/whoami"
	http_request.method == "POST"
	response := {"allowed": true, "headers": {"x-current-user": token.sub, "x-tenant": token.tenant}}
}
