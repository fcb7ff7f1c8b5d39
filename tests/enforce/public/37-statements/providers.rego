package palisade.identity

# What stands in a RequestAuthentication of the mesh, under the name by which the policy knows it.
providers := {"jwt_payload": {"issuer": "https://login.example.com/", "any_audience": true, "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "fctwtgM8jLlKYHaVfJsBuhBOl1niPa8FB4wHYQDutbg", "y": "bqKFjkpzGAPkZOt_u1LsNQCA9LiMNrtyfDteYmrsmlo", "kid": "one", "alg": "ES256"}]}}}
