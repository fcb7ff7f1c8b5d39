package palisade.identity

# What stands in a RequestAuthentication of the mesh.
providers := {"mesh": {"issuer": "https://login.example.com/", "any_audience": true, "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "fctwtgM8jLlKYHaVfJsBuhBOl1niPa8FB4wHYQDutbg", "y": "bqKFjkpzGAPkZOt_u1LsNQCA9LiMNrtyfDteYmrsmlo", "kid": "one", "alg": "ES256"}]}}}
