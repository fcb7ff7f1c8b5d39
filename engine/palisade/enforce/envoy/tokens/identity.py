"""The identity slot: Envoy's own JWT filter, which verifies tokens and leaves their claims in the metadata.

It never refuses a request itself. A token that is missing or does not verify leaves no claims, and the
policy, which then sees no `input.identity`, decides what that means.
https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/jwt_authn_filter
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as jwt
from xds.type.matcher.v3.string_pb2 import StringMatcher

from palisade.decide import verified
from palisade.enforce.envoy.matchers import cel
from palisade.enforce.envoy.matchers.predicate import (
    NO,
    Predicate,
    all_of,
    any_of,
    header_text,
    negate,
    text_check,
)
from palisade.enforce.envoy.regex import patterns
from palisade.enforce.envoy.tokens.calls import by_issuer
from palisade.enforce.envoy.tokens.token import Token
from palisade.enforce.envoy.values.claims import claim_defined
from palisade.enforce.envoy.values.sources import JWT_AUTHN, TARGET_TEXT, ClaimSource
from palisade.policy.providers import Cookie, Header, Provider, Query, TokenSource

CACHED_TOKENS = 1000
"""Verified tokens that each worker of Envoy remembers, so that a signature is checked once."""
ANY_SKEW = 4_000_000_000
"""Seconds: what a policy verifies is verified when it has expired, too, and the policy looks at the time."""


def settings_of(providers: Sequence[Provider], keys: Mapping[str, str]) -> str:
    """What names the settings of the providers; empty where no token can be verified. Their `keys` may change
    without that, as a provider's own do."""
    if not any(provider.name in keys for provider in providers):
        return ""
    return hashlib.sha256(repr(tuple(providers)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def looks_at(providers: Sequence[Provider], keys: Mapping[str, str]) -> tuple[TokenSource, ...]:
    """Where the filter looks for tokens."""
    return tuple(dict.fromkeys(place for each in providers if each.name in keys for place in each.tokens))


def unseen(providers: Sequence[Provider], keys: Mapping[str, str], settings: str) -> Predicate:
    """There may be a token at which the filter with these settings has not looked: the request has met the
    filter of another revision."""
    if not settings:
        return NO  # no rule finds claims
    ready = [each for each in providers if each.name in keys]
    names = [verified.name_of(each.name, settings) for each in ready]
    found = [claim_defined(ClaimSource((name,))) for name in (*names, verified.failed(settings))]
    # Of a token that is missing the filter tells only where there is no second provider. One that is not to
    # be forwarded is missing where another filter has verified it, which tells of that.
    anything = cel.check(cel.has_type(cel.metadata(JWT_AUTHN), "map"))
    something = any_of((anything, *map(_may_hold, looks_at(providers, keys))))
    return all_of((*map(negate, found), something))


def _may_hold(place: TokenSource) -> Predicate:
    """Envoy may find a token at the place: it does nowhere else."""
    match place:
        case Header(name, ""):
            return text_check(header_text(name), patterns.regex("(?s).*"))
        case Header(name, prefix):
            return text_check(header_text(name), StringMatcher(contains=prefix))
        case Cookie(name):
            return text_check(header_text("cookie"), StringMatcher(contains=name))
        case Query(name):
            escaped = text_check(TARGET_TEXT, StringMatcher(contains="%"))
            return any_of((text_check(TARGET_TEXT, StringMatcher(contains=name)), escaped))


def authentication(
    providers: Sequence[Provider],
    keys: Mapping[str, str],
    tokens: Iterable[Token] = (),
    *,
    watched: bool = False,
) -> jwt.JwtAuthentication:
    """The filter's configuration. `keys` holds the JSON Web Key Set of each provider, as text, by its name;
    `tokens` are those that the policy takes apart itself, or a shadow, where there is one that is `watched`.

    A provider whose keys are not known yet is left out, since Envoy refuses one without: it verifies nothing.
    """
    config = jwt.JwtAuthentication()
    # Of the providers the first that verifies a token counts; each of the policy's own checks for itself.
    groups: list[list[str]] = []
    ready = [provider for provider in providers if provider.name in keys]
    if ready:
        groups.append([provider.name for provider in ready])
    settings = settings_of(providers, keys)
    own: dict[str, jwt.JwtProvider] = {}
    for provider in ready:
        config.providers[provider.name].CopyFrom(_provider(provider, keys[provider.name], settings))
        own[verified.name_of(provider.name, settings)] = config.providers[provider.name]
    tokens = tuple(tokens)
    # For a token that is not valid Envoy looks through other providers, by its issuer, and leaves under their
    # names why they do not verify it. So what stands there is true only where all tokens are at one place.
    places: set[TokenSource] = {each.place.source for each in tokens}
    alone = len(places.union(*(each.tokens for each in ready))) == 1
    several = [token for token in tokens if token.keys]
    for token in tokens:
        if token.keys:
            # Of several issuers each is asked about its own tokens only, before any signature is looked at.
            issuer = token.issuer if alone and len(tokens) > 1 else ""
            groups.append([token.name])
            config.providers[token.name].CopyFrom(_own(token, issuer))
            for name, witness in token.witnesses.items() if alone else ():
                groups[-1].append(name)
                config.providers[name].CopyFrom(_witness(token, name, witness, issuer))
        elif token.name in own:
            own[token.name].header_in_metadata = token.header_name
    if alone and not watched and by_issuer(several):
        # One that is valid is none of the others': Envoy need not look for them, nor ask a witness.
        groups[-len(several) :] = [[*(each.name for each in several), *_witnesses(several)]]
    if not groups:
        return config
    rule = config.rules.add()
    rule.match.prefix = "/"
    requirements = [_any(group) for group in groups]
    if len(requirements) == 1:
        rule.requires.CopyFrom(requirements[0])
    else:
        rule.requires.requires_all.requirements.extend(requirements)
    return config


def _witnesses(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        yield from token.witnesses


def _any(names: Iterable[str]) -> jwt.JwtRequirement:
    """The first of the tokens that is valid, or none."""
    requirement = jwt.JwtRequirement()
    for name in names:
        requirement.requires_any.requirements.add(provider_name=name)
    requirement.requires_any.requirements.add().allow_missing_or_failed.SetInParent()
    return requirement


def _own(token: Token, issuer: str) -> jwt.JwtProvider:
    """The verification of a token that the policy verifies itself. Issuer and audience are for the native
    filter to compare, as the policy does: this one takes `https://a/` and `a` for the same audience."""
    config = jwt.JwtProvider(
        issuer=issuer,
        forward=True,
        payload_in_metadata=token.name,
        header_in_metadata=token.header_name,
        clock_skew_seconds=ANY_SKEW,
        jwt_cache_config=jwt.JwtCacheConfig(jwt_cache_size=CACHED_TOKENS),
    )
    config.local_jwks.inline_string = token.keys
    _look_at(config, token.place.source)
    return config


def _witness(token: Token, name: str, keys: str, issuer: str) -> jwt.JwtProvider:
    """Asked only where Envoy has not verified the token: whether it might be signed all the same."""
    config = jwt.JwtProvider(
        issuer=issuer, forward=True, failed_status_in_metadata=name, clock_skew_seconds=ANY_SKEW
    )
    config.local_jwks.inline_string = keys
    _look_at(config, token.place.source)
    return config


def _provider(provider: Provider, keys: str, settings: str) -> jwt.JwtProvider:
    config = jwt.JwtProvider(
        issuer=provider.issuer,
        audiences=provider.audiences,
        forward=provider.forward,
        payload_in_metadata=verified.name_of(provider.name, settings),
        failed_status_in_metadata=verified.failed(settings),
        clock_skew_seconds=max(1, provider.clock_skew_seconds),  # Envoy takes 0 for its default of 60
        jwt_cache_config=jwt.JwtCacheConfig(jwt_cache_size=CACHED_TOKENS),
    )
    config.local_jwks.inline_string = keys
    for token in provider.tokens:
        _look_at(config, token)
    return config


def _look_at(config: jwt.JwtProvider, place: TokenSource) -> None:
    match place:
        case Header(name, prefix):
            config.from_headers.add(name=name, value_prefix=prefix)
        case Cookie(name):
            config.from_cookies.append(name)
        case Query(name):
            config.from_params.append(name)
