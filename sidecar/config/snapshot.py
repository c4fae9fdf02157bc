"""Settings into the one immutable value that decisions read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sidecar.config import consumers, issuers, signers, subjects
from sidecar.config.section import ANY
from sidecar.config.settings import Settings
from sidecar.token import key
from sidecar.token.algorithms import spellings
from sidecar.token.checks.form import normalized_type
from sidecar.token.claims import required_claims
from sidecar.token.key import Key
from sidecar.token.keyset import KeySet
from sidecar.token.snapshot import (
    Binding,
    ClaimRules,
    Consumer,
    Consumers,
    GeneratedKeys,
    Issuer,
    Limits,
    Refreshing,
    Signer,
    SigningKey,
    Snapshot,
)
from sidecar.token.subject import SubjectRule

NOT_FETCHED: Final = "they were not fetched yet"
"""What is wrong with remote keys in a snapshot that was just built."""
NOT_MADE: Final = "they are in the store, which is away"
"""What is wrong with generated keys that are not there."""
_NONE: Final = GeneratedKeys()
_ACCESS_TOKEN_CLAIMS: Final = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


def build(settings: Settings, generated: Mapping[str, GeneratedKeys]) -> Snapshot:
    """The snapshot of these settings. Remote keys are absent until they were fetched.

    `generated` has the keys that were made for each signer, by its name; the others are absent.
    """
    built = [build_signer(one, generated.get(one.name, _NONE)) for one in settings.signers]
    directories = {one.name: _subject_rule(one) for one in settings.subjects}
    return Snapshot.of(
        (
            *(_issuer(one, directories) for one in settings.issuers),
            *(accepted for _, accepted in built if accepted),
        ),
        _consumers(settings.consumers) if settings.consumers else None,
        tuple(signer for signer, _ in built),
        Limits(settings.limits.token_bytes, settings.limits.json_depth),
    )


def build_signer(setting: signers.Signer, generated: GeneratedKeys) -> tuple[Signer, Issuer | None]:
    """A signer with the keys that were made for it, and the issuer that `accept` makes of it."""
    signer = Signer(
        setting.name,
        setting.issuer,
        _signing_keys(setting, generated),
        setting.audiences,
        setting.lifetime,
        setting.max_lifetime,
        None if setting.scopes is None else frozenset(setting.scopes),
        setting.claims,
        setting.type,
        _refreshing(setting.refresh) if setting.refresh else None,
        generated.others,
    )
    return signer, _accepted(signer) if setting.accept else None


def source(issuer: issuers.Issuer) -> str:
    """Where an issuer's keys come from: a URL, a file, or the configuration itself.

    Clients are told, so the query of the URL, which may hold a secret, is left out.
    """
    keys = issuer.keys
    if keys.discovery:
        return issuers.discovery_url(issuer.issuer)
    url = (keys.url or "").partition("?")[0]
    return url or (keys.file.path if keys.file else "the configuration")


def _issuer(setting: issuers.Issuer, directories: Mapping[str, SubjectRule]) -> Issuer:
    return Issuer(
        setting.name,
        None if setting.issuer == "*" else setting.issuer,
        _issuer_rules(setting, directories),
        setting.local_keys,
        _spelled_out(setting.algorithms) if setting.algorithms else None,
        source(setting),
        NOT_FETCHED if setting.keys.are_remote else "",
    )


def _issuer_rules(setting: issuers.Issuer, directories: Mapping[str, SubjectRule]) -> ClaimRules:
    rules = ClaimRules(
        audiences=_set_or_any(setting.audiences),
        types=_types(setting.types),
        required=setting.required,
        claims=required_claims(setting.claims),
        clock_skew=setting.clock_skew,
        max_age=setting.max_age,
        max_lifetime=setting.max_lifetime,
        critical_headers=frozenset(setting.critical_headers),
        scope_claims=setting.scope_claims,
        proof=Binding(setting.proof),
        addresses=setting.addresses.rules if setting.addresses else None,
        one_time=setting.one_time,
        subjects=directories[setting.subjects] if setting.subjects else None,
    )
    return rules if setting.profile is None else _as_access_token(rules)


def _subject_rule(setting: subjects.Subjects) -> SubjectRule:
    return SubjectRule(setting.name, setting.claim, setting.on_outage == "allow")


def _as_access_token(rules: ClaimRules) -> ClaimRules:
    """The same rules and those of RFC 9068, sections 2.2 and 4."""
    return replace(
        rules,
        types=frozenset({"at+jwt"}),
        type_required=True,
        texts=(*rules.texts, "client_id"),
        required=tuple(dict.fromkeys((*_ACCESS_TOKEN_CLAIMS, *rules.required))),
    )


def _consumers(setting: consumers.Consumers) -> Consumers:
    rules = ClaimRules(
        audiences=_set_or_any(setting.audiences),
        required=setting.required,
        clock_skew=setting.clock_skew,
        addresses=setting.addresses.rules if setting.addresses else None,
    )
    built = [_consumer(one, rules) for one in setting.all]
    return Consumers(
        setting.key_claim,
        rules,
        {one.key: one for one in built},
        {one.name: one for one in built},
        setting.store,
    )


def _consumer(setting: consumers.Consumer, shared: ClaimRules) -> Consumer:
    own: dict[str, Any] = {}
    if setting.audiences is not None:
        own["audiences"] = _set_or_any(setting.audiences)
    if setting.required is not None:
        own["required"] = setting.required
    if setting.clock_skew is not None:
        own["clock_skew"] = setting.clock_skew
    if setting.addresses is not None:
        own["addresses"] = setting.addresses.rules
    return Consumer(
        setting.name,
        setting.key,
        setting.algorithm,
        setting.credential,
        setting.labels,
        replace(shared, **own) if own else None,
        setting.disabled,
        setting.grants,
    )


def _signing_keys(setting: signers.Signer, generated: GeneratedKeys) -> tuple[SigningKey, ...]:
    """All of them, or none while one was not made: another would sign in its place."""
    keys = [one.signing_key or generated.signing.get(one.generate or "") for one in setting.keys]
    there = tuple(key for key in keys if key is not None)
    return there if len(there) == len(keys) else ()


def _refreshing(setting: signers.Refresh) -> Refreshing:
    return Refreshing(setting.lifetime, setting.idle_lifetime, setting.grace)


def _accepted(signer: Signer) -> Issuer:
    """The signer as an issuer whose tokens pass here."""
    keys = (*signer.keys, *signer.other_keys)
    defaults = ClaimRules(None)
    rules = replace(
        defaults,
        audiences=frozenset(signer.audiences) or None,
        types=(defaults.types or frozenset()) | {normalized_type(signer.type)},
    )
    return Issuer(
        signer.name,
        signer.issuer,
        rules,
        KeySet(tuple(_verifying_key(one) for one in keys)) if signer.keys else None,
        frozenset(one.algorithm for one in keys) or None,
        f"signer {signer.name}",
        "" if signer.keys else NOT_MADE,
    )


def _verifying_key(signing_key: SigningKey) -> Key:
    return signing_key.public or key.from_secret(
        signing_key.material, frozenset({signing_key.algorithm}), signing_key.key_id
    )


def _spelled_out(algorithms: tuple[str, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(spellings(one) for one in algorithms))


def _set_or_any(values: tuple[str, ...]) -> frozenset[str] | None:
    return None if values == ANY else frozenset(values)


def _types(values: tuple[str, ...]) -> frozenset[str] | None:
    accepted = _set_or_any(values)
    return None if accepted is None else frozenset(normalized_type(one) for one in accepted)
