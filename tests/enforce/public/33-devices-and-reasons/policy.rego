package mesh.access

import rego.v1

# One outcome, with a reason; status, body and headers follow from it.

default outcome := {"allow": false, "reason": "nobody may"}

request := input.attributes.request.http

posture := request.headers["x-posture"] if {
	request.headers["x-posture"]
} else := "unknown"

token := t if {
	header := request.headers.authorization
	startswith(header, "Bearer ")
	t := substring(header, count("Bearer "), -1)
}

claims := payload if [_, payload, _] := io.jwt.decode(token)

reads if request.method in {"GET", "HEAD"}

permitted if {
	claims.sub
	posture == "managed"
}

permitted if {
	claims.sub
	posture == "known"
	reads
}

outcome := {"allow": true, "reason": "permitted"} if permitted

outcome := {"allow": false, "reason": "device is broken"} if {
	posture == "broken"
	not permitted
}

outcome := {"allow": false, "reason": "unknown devices may not write"} if {
	posture == "unknown"
	not reads
	not permitted
}

outcome := {"allow": false, "reason": "no token"} if {
	not token
	not permitted
	posture != "broken"
	not unknown_write
}

outcome := {"allow": false, "reason": "token of nobody"} if {
	token
	not claims.sub
	not permitted
	posture != "broken"
	not unknown_write
}

unknown_write if {
	posture == "unknown"
	not reads
}

status := 200 if outcome.allow

status := 401 if outcome.reason == "no token"

status := 403 if {
	not outcome.allow
	outcome.reason != "no token"
}

body := "" if outcome.allow

body := sprintf(`{"denied":"%s"}`, [outcome.reason]) if not outcome.allow

answer := {
	"allowed": outcome.allow,
	"http_status": status,
	"headers": {"x-reason": outcome.reason},
	"body": body,
}
