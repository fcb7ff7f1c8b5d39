package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer"}}

allow := {"allowed": true} if http_request.method == "OPTIONS"

else := {"allowed": true} if has_session

else := {"allowed": true} if {
	some prefix in ["/login", "/static/", "/favicon.ico"]
	startswith(http_request.path, prefix)
}

else := {
	"allowed": false,
	"http_status": 302,
	"headers": {"location": "/login", "set-cookie": ["flash=please+log+in; Path=/", "session=; Max-Age=0"]},
} if contains(http_request.headers.accept, "text/html")

has_session if regex.match(`(^|;\s*)session=[0-9a-f]{32}(;|$)`, http_request.headers.cookie)
