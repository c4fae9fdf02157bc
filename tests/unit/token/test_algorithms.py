"""Signatures: every algorithm, its own keys only, and forms that no signer makes."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, SYMMETRIC, fitting
from sidecar.token.key import UnusableKey, from_pem, from_secret
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason
from sidecar.token.request import Verdict
from tests.authors import ALL_ALGORITHMS, Author, author, key_set
from tests.tokens import assert_passes, assert_refused, encode, issuer, judge, mint

EVERY = frozenset(ALL_ALGORITHMS)
# The order of the group of P-256 (SEC 2, section 2.4.2), and the size of a half of a signature.
N, HALF = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, 32


def keys_of(by: Author) -> KeySet:
    return KeySet((by.secret_key(),)) if by.algorithm.startswith("HS") else key_set(by)


def judge_signed(signature: bytes, by: Author) -> Verdict:
    """What is said of a token with this signature where `by` is the issuer."""
    signing_input = mint(by).rpartition(".")[0]
    return judge(f"{signing_input}.{encode(signature)}", issuer(keys=keys_of(by), algorithms=EVERY))


def halves(by: Author) -> tuple[int, int]:
    signature = by.sign(mint(by).rpartition(".")[0].encode())
    return int.from_bytes(signature[:HALF], "big"), int.from_bytes(signature[HALF:], "big")


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")


def test_these_algorithms_exist_and_no_others() -> None:
    assert ALGORITHMS.keys() == EVERY
    assert ASYMMETRIC | SYMMETRIC == EVERY
    assert {"HS256", "HS384", "HS512"} == SYMMETRIC


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_a_signature_of_each_algorithm_holds(algorithm: str) -> None:
    by = author(algorithm)
    verified = assert_passes(judge(mint(by), issuer(keys=keys_of(by), algorithms=EVERY)))
    assert (verified.algorithm, verified.key_id) == (algorithm, "key-1")


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_a_signature_of_another_key_does_not(algorithm: str) -> None:
    by, other = author(algorithm), author(algorithm, other=1)
    verdict = judge(mint(other), issuer(keys=keys_of(by), algorithms=EVERY))
    assert_refused(verdict, Reason.SIGNATURE_INVALID, algorithm)


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
@pytest.mark.parametrize("size", ["short", "long", "one byte", "huge"])
def test_a_signature_of_the_wrong_length_does_not(algorithm: str, size: str) -> None:
    by = author(algorithm)
    good = by.sign(mint(by).rpartition(".")[0].encode())
    wrong = {"short": good[:-1], "long": good + b"\0", "one byte": b"\0", "huge": good * 20}
    assert_refused(judge_signed(wrong[size], by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_the_signature_covers_header_and_payload(algorithm: str) -> None:
    by = author(algorithm)
    party = issuer(keys=keys_of(by), algorithms=EVERY)
    signed = mint(by).split(".")
    for part, other in enumerate(mint(by, header={"x": 1}, sub="mallory").split(".")[:2]):
        spliced = [*signed]
        spliced[part] = other
        assert_refused(judge(".".join(spliced), party), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("declared", ALL_ALGORITHMS)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "Ed25519", "Ed448", "HS256"])
def test_a_signature_holds_under_no_other_name(algorithm: str, declared: str) -> None:
    """But that an Ed25519 or Ed448 key's signature is called EdDSA too (RFC 9864)."""
    by = author(algorithm)
    verdict = judge(mint(by, header={"alg": declared}), issuer(keys=keys_of(by), algorithms=EVERY))
    if declared == algorithm or (declared == "EdDSA" and algorithm in {"Ed25519", "Ed448"}):
        assert_passes(verdict)
    elif declared in fitting("RSA", None) and algorithm == "RS256":
        assert_refused(verdict, Reason.SIGNATURE_INVALID, declared)
    else:
        assert_refused(verdict, Reason.KEY_MISMATCH, declared)


@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("declared", [None, "EdDSA", "Ed25519"])
def test_both_names_of_ed25519_are_one_algorithm(named: str, declared: str | None) -> None:
    by = author("Ed25519")
    keys = key_set(by.jwk(alg=declared))
    assert_passes(judge(mint(by, header={"alg": named}), issuer(keys=keys)))


@pytest.mark.parametrize("algorithm", sorted(SYMMETRIC))
def test_a_public_key_is_no_hmac_secret(algorithm: str) -> None:
    """Algorithm confusion (RFC 8725, section 2.1): HMAC under what everybody knows."""
    rsa = author("RS256")
    for secret in (rsa.public_pem(), rsa.public_pem().strip(), rsa.jwk()["n"].encode()):
        forged = mint(Author(algorithm, secret, "key-1"))
        assert_refused(judge(forged, issuer(keys=key_set(rsa))), Reason.ALGORITHM_NOT_ALLOWED)
        lax = issuer(keys=key_set(rsa), algorithms=EVERY)
        assert_refused(judge(forged, lax), Reason.KEY_MISMATCH, algorithm)
        from_file = issuer(keys=KeySet((from_pem(rsa.public_pem(), "key-1"),)), algorithms=EVERY)
        assert_refused(judge(forged, from_file), Reason.KEY_MISMATCH, algorithm)


def test_a_secret_serves_only_where_its_algorithm_is_listed() -> None:
    by = author("HS256")
    assert_refused(judge(mint(by), issuer(keys=keys_of(by))), Reason.ALGORITHM_NOT_ALLOWED)


def test_a_secret_serves_the_algorithms_it_was_given_for() -> None:
    by = author("HS512")
    only = KeySet((from_secret(by.private_key, frozenset({"HS512"}), "key-1"),))
    assert_passes(judge(mint(by), issuer(keys=only, algorithms=EVERY)))
    other = mint(by.using("HS256"))
    assert_refused(judge(other, issuer(keys=only, algorithms=EVERY)), Reason.KEY_MISMATCH)


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_the_hash(algorithm: str, least: int) -> None:
    assert from_secret(b"x" * least, frozenset({algorithm})).algorithms == {algorithm}
    with pytest.raises(UnusableKey, match=f"{least - 1} bytes; {algorithm} needs at least") as weak:
        from_secret(b"x" * (least - 1), frozenset({algorithm}))
    assert weak.value.reason is Reason.KEY_TOO_WEAK


def test_a_secret_too_short_for_one_of_its_algorithms_is_refused() -> None:
    with pytest.raises(UnusableKey, match="HS512 needs at least 64"):
        from_secret(b"x" * 32, frozenset({"HS256", "HS512"}))


def test_a_secret_is_for_hmac_only() -> None:
    with pytest.raises(UnusableKey, match="RS256 needs a public key"):
        from_secret(b"x" * 64, frozenset({"RS256"}))


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_an_ecdsa_signature_in_der_does_not_hold(algorithm: str) -> None:
    by = author(algorithm)
    good = by.sign(mint(by).rpartition(".")[0].encode())
    half = len(good) // 2
    der = encode_dss_signature(
        int.from_bytes(good[:half], "big"), int.from_bytes(good[half:], "big")
    )
    assert_refused(judge_signed(der, by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize(
    ("r", "s"),
    [
        pytest.param(0, 0, id="r and s are 0"),
        pytest.param(0, 1, id="r is 0"),
        pytest.param(1, 0, id="s is 0"),
        pytest.param(N, N, id="r and s are the order"),
        pytest.param(N, 1, id="r is the order"),
        pytest.param(1, N, id="s is the order"),
        pytest.param(2**256 - 1, 2**256 - 1, id="r and s are as large as can be"),
        pytest.param(1, 1, id="r and s are 1"),
    ],
)
def test_a_psychic_signature_does_not_hold(r: int, s: int) -> None:
    """CVE-2022-21449: some verifiers took zeros for a signature of everything."""
    assert_refused(judge_signed(raw(r, s), author()), Reason.SIGNATURE_INVALID)


def test_an_ecdsa_signature_with_its_halves_swapped_does_not_hold() -> None:
    by = replace(author())
    r, s = halves(by)
    assert_refused(judge_signed(raw(s, r), by), Reason.SIGNATURE_INVALID)
