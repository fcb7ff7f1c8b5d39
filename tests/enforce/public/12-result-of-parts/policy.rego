package envoy.authz

import input.attributes.request.http as http_request

default allow = false

allow {
	http_request.method == "GET"
	http_request.headers["x-consumer"] == data.consumers[_]
}

allow {
	http_request.path == "/healthz"
}

headers["x-ext-auth-allow"] = "yes"

headers["x-validated-by"] = "security-checkpoint"

status_code = 200 {
	allow
} else = 401 {
	not http_request.headers["x-consumer"]
} else = 403 {
	true
}

body = "Authentication required" {
	status_code == 401
} else = "Unauthorized Request" {
	status_code == 403
}

result["allowed"] = allow

result["headers"] = headers

result["body"] = body

result["http_status"] = status_code
