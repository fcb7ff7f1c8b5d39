package httpapi.authz

import input.attributes.request.http as http_request

default allow = false

allow {
	route := data.routes[_]
	regex.match(route.path, path)
	route.methods[_] == http_request.method
	route.roles[_] == role
}

allow {
	data.public[_] == path
	http_request.method == "GET"
}

path := split(http_request.path, "?")[0]

role := http_request.headers["x-user-role"]
