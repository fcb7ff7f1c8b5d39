package envoy.authz

import rego.v1

import input.attributes.request.http as http_request

default allow := false


verified := io.jwt.decode_verify(token, {"cert": `{"keys": [{"kty": "EC", "crv": "P-256", "x": "fctwtgM8jLlKYHaVfJsBuhBOl1niPa8FB4wHYQDutbg", "y": "bqKFjkpzGAPkZOt_u1LsNQCA9LiMNrtyfDteYmrsmlo", "kid": "one", "alg": "ES256"}]}`, "alg": "ES256"})

token := parts[1] if {
	parts := split(http_request.headers.authorization, " ")
	count(parts) == 2
	lower(parts[0]) == "bearer"
}

claims := verified[2] if verified[0]

payment := json.unmarshal(http_request.body)

allow if {
	http_request.method == "POST"
	http_request.path == "/v1/charge"
	payment.currency in {"EUR", "USD"}
	payment.amount > 0
	payment.amount <= limit
	payment.customer == claims.sub
}

cashier if "cashier" in claims.roles

limit := 5000 if cashier

limit := 100 if not cashier

allow if {
	http_request.method == "GET"
	["v1", "customers", owner] = input.parsed_path
	owner == claims.sub
}
