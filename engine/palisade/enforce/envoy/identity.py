"""The identity slot: Envoy's own JWT filter, which verifies tokens and leaves their claims in the metadata.

It never refuses a request itself. A token that is missing or does not verify leaves no claims, and the
policy, which then sees no `input.identity`, decides what that means.
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/jwt_authn_filter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt

from palisade.policy.providers import Cookie, Header, Provider

CACHED_TOKENS = 1000
"""Verified tokens that each worker of Envoy remembers, so that a signature is checked once."""


def authentication(providers: Sequence[Provider], keys: Mapping[str, str]) -> jwt.JwtAuthentication:
    """The filter's configuration. `keys` holds the JSON Web Key Set of each provider, as text, by its name.

    A provider whose keys are not known yet is left out, since Envoy refuses one without: it verifies nothing.
    """
    config = jwt.JwtAuthentication()
    ready = [provider for provider in providers if provider.name in keys]
    if not ready:
        return config
    for provider in ready:
        config.providers[provider.name].CopyFrom(_provider(provider, keys[provider.name]))
    rule = config.rules.add()
    rule.match.prefix = "/"
    requirements = rule.requires.requires_any.requirements
    for provider in ready:
        requirements.add(provider_name=provider.name)
    requirements.add().allow_missing_or_failed.SetInParent()
    return config


def _provider(provider: Provider, keys: str) -> jwt.JwtProvider:
    config = jwt.JwtProvider(
        issuer=provider.issuer,
        audiences=provider.audiences,
        forward=provider.forward,
        payload_in_metadata=provider.name,
        clock_skew_seconds=max(1, provider.clock_skew_seconds),  # Envoy takes 0 for its default of 60
        jwt_cache_config=jwt.JwtCacheConfig(jwt_cache_size=CACHED_TOKENS),
    )
    config.local_jwks.inline_string = keys
    for token in provider.tokens:
        if isinstance(token, Header):
            config.from_headers.add(name=token.name, value_prefix=token.prefix)
        elif isinstance(token, Cookie):
            config.from_cookies.append(token.name)
        else:
            config.from_params.append(token.name)
    return config
