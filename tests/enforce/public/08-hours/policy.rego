package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false

now := time.now_ns()

# Nobody changes anything in the freeze.
frozen if {
	now >= time.parse_rfc3339_ns("2021-12-20T00:00:00Z")
	now < time.parse_rfc3339_ns("2022-01-04T00:00:00Z")
}

allow if {
	http_request.method in {"POST", "PUT", "DELETE"}
	not frozen
	http_request.headers["x-team"] == "release"
}

# The trial is open until the end of the century.
allow if {
	http_request.method == "GET"
	startswith(http_request.path, "/trial")
	now < time.parse_rfc3339_ns("2099-12-31T23:59:59Z")
}

allow if {
	http_request.path == "/reports"
	weekday
	office_hours
}

weekday if not time.weekday(now) in {"Saturday", "Sunday"}

office_hours if {
	[hour, _, _] := time.clock(now)
	hour >= 8
	hour < 18
}
