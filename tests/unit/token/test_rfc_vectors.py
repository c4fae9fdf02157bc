"""The vectors of RFC 7515, 7520, 7797 and 8037: their keys, signatures and tokens."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.token import base64url
from sidecar.token.jwk import from_jwk, thumbprint
from sidecar.token.key import Key, UnusableKey, from_secret
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason, Refused
from sidecar.token.signing import from_private_key, sign
from sidecar.token.signing import from_secret as signing_from_secret
from sidecar.token.snapshot import SigningKey
from tests.authors import ENGINES, VECTORS
from tests.signatures import verified_payload
from tests.tokens import assert_passes, assert_refused, encode, issuer, judge

FILES = [json.loads(path.read_text()) for path in sorted(VECTORS.glob("rfc*.json"))]
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


@dataclass(frozen=True)
class Signature:
    """One signature of a case."""

    jwk: Mapping[str, Any]
    algorithm: str
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True)
class Case:
    """A case with its keys; its token is as text, also where it is JSON."""

    members: Mapping[str, Any]
    jwks: tuple[Mapping[str, Any], ...]
    now: float

    @property
    def token(self) -> str:
        return self.members.get("token") or json.dumps(self.members["json"])

    @property
    def payload(self) -> bytes:
        return self.members["payload"].encode()  # type: ignore[no-any-return]

    def signatures(self) -> Iterator[Signature]:
        """With `alg` from wherever the serialization has it."""
        for jwk, one in zip(self.jwks, self._signed(), strict=True):
            protected = one.get("protected", "")
            header = json.loads(base64url.decode(protected.encode()) or "{}")
            payload = self.payload if "unencoded" in self.members else encode(self.payload).encode()
            yield Signature(
                jwk,
                {**header, **one.get("header", {})}["alg"],
                protected.encode() + b"." + payload,
                base64url.decode(one["signature"].encode()),
            )

    def _signed(self) -> list[Mapping[str, Any]]:
        """Who signed, in the form of the general JSON serialization."""
        if not self.jwks:
            return []
        if "token" in self.members:
            protected, payload, signature = self.members["token"].split(".")
            self._check_payload(payload)
            return [{"protected": protected, "signature": signature}]
        self._check_payload(self.members["json"].get("payload", ""))
        return self.members["json"].get("signatures") or [self.members["json"]]

    def _check_payload(self, payload: str) -> None:
        assert payload == ("" if "detached" in self.members else encode(self.payload))


def cases(*with_members: str) -> list[Any]:
    """The cases of all files that have these members."""
    return [
        pytest.param(
            Case(one, tuple(file["keys"][key]["jwk"] for key in one["keys"]), file["now"]),
            id=f"RFC {file['rfc']} {one['section']} {one['title']}",
        )
        for file in FILES
        for one in file["cases"]
        if all(name in one for name in with_members)
    ]


def keys() -> list[Any]:
    return [
        pytest.param(key, id=f"RFC {file['rfc']} {section}")
        for file in FILES
        for section, key in file["keys"].items()
    ]


def public_half(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in PRIVATE}


def verifying(jwk: Mapping[str, Any], algorithm: str) -> Key:
    """The key as a configuration has it: a secret, or the JWK of the public half."""
    if jwk["kty"] == "oct":
        secret = base64url.decode(jwk["k"].encode())
        return from_secret(secret, frozenset({algorithm}), jwk.get("kid"))
    return from_jwk(public_half(jwk))


def signing(jwk: Mapping[str, Any], algorithm: str) -> SigningKey:
    if jwk["kty"] == "oct":
        return signing_from_secret(base64url.decode(jwk["k"].encode()), algorithm, "k")
    return from_private_key(ENGINES[algorithm].from_jwk(dict(jwk)), algorithm, "k")


def the_only(case: Case) -> tuple[KeySet, frozenset[str]]:
    """The key set and the algorithms of a case with one signature, or with none."""
    signatures = list(case.signatures()) if "token" in case.members else []
    algorithms = frozenset(one.algorithm for one in signatures)
    return KeySet(tuple(verifying(one.jwk, one.algorithm) for one in signatures)), algorithms


@pytest.mark.parametrize("key", keys())
def test_key_is_taken_or_refused(key: Mapping[str, Any]) -> None:
    if isinstance(key["result"], str):
        with pytest.raises(UnusableKey, match=key["result"]):
            from_jwk(key["jwk"])
    else:
        imported = from_jwk(public_half(key["jwk"]))
        assert sorted(imported.algorithms) == key["result"]
        assert imported.key_id == key["jwk"].get("kid")
        assert key.get("thumbprint") in {None, thumbprint(imported)}


@pytest.mark.parametrize("key", [one for one in keys() if "d" in one.values[0]["jwk"]])
def test_private_key_is_never_taken_from_a_key_set(key: Mapping[str, Any]) -> None:
    with pytest.raises(UnusableKey, match="private members"):
        from_jwk(key["jwk"])


@pytest.mark.parametrize("case", cases())
def test_signatures_hold_and_no_other(case: Case) -> None:
    for one in case.signatures():
        key = verifying(one.jwk, one.algorithm)
        assert key.verify(one.algorithm, one.signing_input, one.signature)
        assert not key.verify(one.algorithm, one.signing_input + b"A", one.signature)


@pytest.mark.parametrize("case", cases("reproducible"))
def test_signing_gives_the_same_signature(case: Case) -> None:
    (one,) = case.signatures()
    assert sign(signing(one.jwk, one.algorithm), one.signing_input) == one.signature


@pytest.mark.parametrize("case", [one for one in cases() if one.values[0].jwks])
def test_signing_again_gives_a_signature_that_holds(case: Case) -> None:
    for one in case.signatures():
        made = sign(signing(one.jwk, one.algorithm), one.signing_input)
        assert verifying(one.jwk, one.algorithm).verify(one.algorithm, one.signing_input, made)


@pytest.mark.parametrize("case", cases())
def test_token_gets_its_result(case: Case) -> None:
    key_set, algorithms = the_only(case)
    party = issuer("rfc", None, key_set, algorithms, audiences=None, types=None)
    verdict = judge(case.token, party, now=case.now, issuer_name="rfc")
    if case.members["result"] == "valid":
        verified = assert_passes(verdict)
        assert verified.claims_json == case.payload
        assert verified.claims == json.loads(case.payload)
        late = judge(case.token, party, now=case.now + 1, issuer_name="rfc")
        assert_refused(late, Reason.EXPIRED)
    else:
        assert_refused(verdict, Reason[case.members["result"]])


@pytest.mark.parametrize("case", [one for one in cases("token") if one.values[0].jwks])
def test_form_header_and_key_are_fine_where_only_the_payload_is_not(case: Case) -> None:
    if "detached" in case.members:
        with pytest.raises(Refused):
            verified_payload(case.token, *the_only(case))
    else:
        assert verified_payload(case.token, *the_only(case)) == case.payload
