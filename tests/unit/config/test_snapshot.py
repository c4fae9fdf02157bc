import json
import time
from typing import Any

import pytest

from sidecar.config.snapshot import NOT_FETCHED, NOT_MADE, build
from sidecar.steady import forget_nothing
from sidecar.token.claims import RequiredClaim
from sidecar.token.mint import Order, mint
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Refusal, Request, Verified
from sidecar.token.signing import from_private_key, public_jwks
from sidecar.token.snapshot import Binding, ClaimRules, GeneratedKeys, Limits, Snapshot
from sidecar.token.validator import validate
from tests.unit.config.folder import KEYS, SECRET, Folder, configuration, consumer, issuer, signer


def built(folder: Folder, **sections: Any) -> Snapshot:
    """The snapshot of a configuration for which no keys were made."""
    return build(folder.load(configuration(**sections)).settings, {})


@pytest.mark.parametrize(
    ("settings", "rules"),
    [
        pytest.param({}, ClaimRules(frozenset({"orders"})), id="the defaults"),
        pytest.param({"audiences": "*"}, ClaimRules(None), id="any audience"),
        pytest.param({"types": "*"}, ClaimRules(frozenset({"orders"}), types=None), id="any type"),
        pytest.param(
            {"types": ["application/Secevent+JWT"]},
            ClaimRules(frozenset({"orders"}), types=frozenset({"secevent+jwt"})),
            id="a type in the form in which types are compared",
        ),
        pytest.param(
            {
                "required": ["exp", "sub"],
                "claims": {"roles": ["a", "b"], "env": "prod"},
                "clock_skew": "1m",
                "max_age": "12h",
                "max_lifetime": "1d",
                "critical_headers": ["exp"],
                "scope_claims": ["perms"],
            },
            ClaimRules(
                frozenset({"orders"}),
                required=("exp", "sub"),
                claims=(RequiredClaim("roles", ("a", "b")), RequiredClaim("env", ("prod",))),
                clock_skew=60.0,
                max_age=43200.0,
                max_lifetime=86400.0,
                critical_headers=frozenset({"exp"}),
                scope_claims=("perms",),
            ),
            id="everything",
        ),
        pytest.param(
            {"proof": "required"},
            ClaimRules(frozenset({"orders"}), proof=Binding.REQUIRED),
            id="bound tokens only",
        ),
        pytest.param(
            {"one_time": True},
            ClaimRules(frozenset({"orders"}), one_time=True),
            id="tokens that pass once",
        ),
        pytest.param(
            {"profile": "access_token", "required": ["exp", "tenant"]},
            ClaimRules(
                frozenset({"orders"}),
                types=frozenset({"at+jwt"}),
                type_required=True,
                texts=("iss", "sub", "jti", "client_id"),
                required=("iss", "exp", "aud", "sub", "client_id", "iat", "jti", "tenant"),
            ),
            id="the profile of access tokens",
        ),
    ],
)
def test_the_rules_of_an_issuer(
    folder: Folder, settings: dict[str, Any], rules: ClaimRules
) -> None:
    assert built(folder, issuers=[issuer(**settings)]).issuers["corp"].rules == rules


@pytest.mark.parametrize(
    ("keys", "source"),
    [
        pytest.param(
            {"discovery": True},
            "https://login.example.com/.well-known/openid-configuration",
            id="by discovery",
        ),
        pytest.param({"url": "https://b.example/jwks"}, "https://b.example/jwks", id="from a URL"),
    ],
)
def test_remote_keys_are_not_there_yet(folder: Folder, keys: dict[str, Any], source: str) -> None:
    found = built(folder, issuers=[issuer(keys=keys)]).issuers["corp"]
    assert (found.keys, found.problem, found.source) == (None, NOT_FETCHED, source)
    assert found.algorithms is None


def test_local_keys_are_there(folder: Folder) -> None:
    found = built(folder, issuers=[issuer(algorithms=["ES256"])]).issuers["corp"]
    assert found.keys is not None
    assert found.keys.algorithms == {"ES256"}
    assert (found.problem, found.source) == ("", str(folder.path / "ec.pub"))
    assert found.algorithms == frozenset({"ES256"})


def test_an_issuer_that_is_any_is_found_by_name_alone(folder: Folder) -> None:
    found = built(folder, issuers=[issuer(issuer="*")])
    assert found.issuers["corp"].issuer is None
    assert not found.issuers_by_iss


def test_consumers_are_found_by_key_and_by_name(folder: Folder) -> None:
    found = built(
        folder,
        consumers={
            "key_claim": "sub",
            "audiences": ["a"],
            "clock_skew": "0s",
            "list": [consumer(labels={"plan": "gold"})],
        },
    ).consumers
    assert found is not None
    assert found.key_claim == "sub"
    assert found.rules == ClaimRules(frozenset({"a"}), clock_skew=0.0)
    jack = found.by_key["k"]
    assert found.by_name["jack"] is jack
    assert (jack.algorithm, jack.labels) == ("HS256", {"plan": "gold"})
    assert jack.credential.material == SECRET.encode()


def test_a_consumer_has_rules_of_its_own_or_those_of_all(folder: Folder) -> None:
    own = {"audiences": ["b"], "required": ["exp", "sub"], "clock_skew": "1m", "disabled": True}
    found = built(
        folder,
        consumers={
            "audiences": ["a"],
            "list": [consumer(), consumer(name="jill", key="j", **own)],
        },
    ).consumers
    assert found is not None
    jack, jill = found.by_name["jack"], found.by_name["jill"]
    assert (jack.rules, jack.disabled) == (None, False)
    assert jill.rules == ClaimRules(frozenset({"b"}), required=("exp", "sub"), clock_skew=60.0)
    assert jill.disabled


def test_limits(folder: Folder) -> None:
    found = built(folder, limits={"token_bytes": "1KiB", "json_depth": 8})
    assert found.limits == Limits(1024, 8)


def test_a_signer(folder: Folder) -> None:
    written = signer(
        audiences=["a", "b"], lifetime="5m", scopes=["r"], claims={"env": "prod"}, type="at+jwt"
    )
    snapshot = built(folder, signers=[written])
    found = snapshot.signers["internal"]
    assert (found.issuer, found.audiences) == ("https://tokens.internal", ("a", "b"))
    assert (found.lifetime, found.max_lifetime) == (300.0, 3600.0)
    assert (found.scopes, found.claims, found.type) == (
        frozenset({"r"}),
        {"env": "prod"},
        "at+jwt",
    )
    assert [(key.key_id, key.algorithm) for key in found.keys] == [("1", "ES256")]
    assert set(snapshot.issuers) == {"corp"}


GENERATED = GeneratedKeys(
    {
        "ES256": from_private_key(KEYS["ec"], "ES256", "new"),
        "EdDSA": from_private_key(KEYS["ed"], "EdDSA", "only"),
    },
    (from_private_key(KEYS["ec"], "ES256", "next"), from_private_key(KEYS["rsa"], "RS256", "old")),
)
THREE_KEYS = signer(
    accept=True,
    keys=[
        {"generate": "EdDSA"},
        {"key_id": "file", "algorithm": "PS256", "private_key": {"file": "rsa.pem"}},
        {"generate": "ES256", "rotate": "30d"},
    ],
)


def test_keys_that_were_made_stand_where_they_are_configured(folder: Folder) -> None:
    settings = folder.load(configuration(signers=[THREE_KEYS])).settings
    found = build(settings, {"internal": GENERATED}).signers["internal"]
    assert [key.key_id for key in found.keys] == ["only", "file", "new"]
    assert [key.key_id for key in found.other_keys] == ["next", "old"]


def test_every_key_is_published_and_accepted_the_signing_ones_first(folder: Folder) -> None:
    settings = folder.load(configuration(signers=[THREE_KEYS])).settings
    found = build(settings, {"internal": GENERATED})
    published = json.loads(public_jwks(found.signers.values()))["keys"]
    assert [one["kid"] for one in published] == ["only", "file", "new", "next", "old"]
    accepted = found.issuers["internal"]
    assert accepted.keys is not None
    assert [key.key_id for key in accepted.keys.keys] == ["only", "file", "new", "next", "old"]
    assert accepted.algorithms == frozenset({"EdDSA", "PS256", "ES256", "RS256"})


@pytest.mark.parametrize(
    ("algorithm", "key_id"),
    [
        pytest.param("", "only", id="the first, where a request names none"),
        pytest.param("ES256", "new", id="the one that signs, not the next"),
    ],
)
def test_which_key_signs(folder: Folder, algorithm: str, key_id: str) -> None:
    settings = folder.load(configuration(signers=[THREE_KEYS])).settings
    snapshot = build(settings, {"internal": GENERATED})
    assert mint(Order(algorithm=algorithm), snapshot, time.time(), "id").key_id == key_id


def test_a_key_that_is_only_published_signs_nothing(folder: Folder) -> None:
    settings = folder.load(configuration(signers=[THREE_KEYS])).settings
    snapshot = build(settings, {"internal": GENERATED})
    with pytest.raises(CallFailed, match="RS256"):
        mint(Order(algorithm="RS256"), snapshot, time.time(), "id")


@pytest.mark.parametrize("accept", [False, True])
def test_a_signer_has_no_key_while_one_was_not_made(folder: Folder, accept: bool) -> None:
    """The first that is there would sign in its place."""
    settings = folder.load(configuration(signers=[{**THREE_KEYS, "accept": accept}])).settings
    found = build(settings, {})
    assert found.signers["internal"].keys == ()
    with pytest.raises(CallFailed, match="the store, which is away") as caught:
        mint(Order(), found, time.time(), "id")
    assert caught.value.reason is ErrorReason.STORE_UNAVAILABLE
    if accept:
        issuer = found.issuers["internal"]
        assert issuer.keys is None
        assert (issuer.source, issuer.problem) == ("signer internal", NOT_MADE)


ACCEPTED = signer(
    accept=True,
    type="secevent+jwt",
    keys=[
        {"key_id": "rsa", "algorithm": "PS256", "private_key": {"file": "rsa.pem"}},
        {"key_id": "hmac", "algorithm": "HS256", "secret": {"env": "SECRET"}},
    ],
)


def test_a_signer_that_is_accepted_is_an_issuer(folder: Folder) -> None:
    found = built(folder, issuers=None, signers=[ACCEPTED])
    accepted = found.issuers["internal"]
    assert found.issuers_by_iss["https://tokens.internal"] is accepted
    assert accepted.rules == ClaimRules(None, types=frozenset({"jwt", "at+jwt", "secevent+jwt"}))
    assert accepted.algorithms == frozenset({"PS256", "HS256"})
    assert accepted.keys is not None
    assert [key.key_id for key in accepted.keys.keys] == ["rsa", "hmac"]


@pytest.mark.parametrize("algorithm", [pytest.param(one, id=one) for one in ("PS256", "HS256")])
def test_what_a_signer_mints_is_accepted(folder: Folder, algorithm: str) -> None:
    snapshot = built(folder, issuers=None, signers=[ACCEPTED])
    now = time.time()
    token = mint(Order(subject="joe", algorithm=algorithm), snapshot, now, "id").token
    assert isinstance(
        validate(Request(token), snapshot, now, ProofMemory(forget_nothing)), Verified
    )


def test_what_a_signer_mints_for_others_is_not_accepted(folder: Folder) -> None:
    snapshot = built(folder, issuers=None, signers=[{**ACCEPTED, "audiences": ["orders"]}])
    assert snapshot.issuers["internal"].rules.audiences == frozenset({"orders"})
    now = time.time()
    token = mint(Order(subject="joe", audiences=("other",)), snapshot, now, "id").token
    assert isinstance(validate(Request(token), snapshot, now, ProofMemory(forget_nothing)), Refusal)


def test_eddsa_in_a_list_stands_for_its_newer_names_too(folder: Folder) -> None:
    remote = issuer(keys={"url": "https://a.example/jwks"}, algorithms=["EdDSA", "RS256"])
    accepted = built(folder, issuers=[remote]).issuers["corp"].algorithms
    assert accepted == frozenset({"EdDSA", "Ed25519", "Ed448", "RS256"})
