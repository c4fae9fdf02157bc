"""Signatures: every algorithm, its own keys only, and forms that no signer makes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, SYMMETRIC, fitting
from sidecar.token.key import UnusableKey, from_pem, from_secret
from sidecar.token.keyset import KeySet
from sidecar.token.kinds import RSA
from sidecar.token.reason import Reason
from sidecar.token.request import Verdict
from sidecar.token.snapshot import Limits
from tests.authors import ALL_ALGORITHMS, Author, author, key_set
from tests.tokens import assert_passes, assert_refused, encode, issuer, judge, mint

EVERY = frozenset(ALL_ALGORITHMS)
ML_DSA = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]
ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    "ES512": 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    "ES256K": 2**256 - 0x14551231950B75FC4402DA1732FC9BEBF,
}
"""The order of each curve's group (SEC 2, sections 2.4.1, 2.4.2, 2.5.1 and 2.6.1)."""
SIZES = {"ES256": 32, "ES384": 48, "ES512": 66, "ES256K": 32}
"""How many bytes a half of a signature has (RFC 7518, section 3.4; RFC 8812, section 3.2)."""


def keys_of(by: Author) -> KeySet:
    return KeySet((by.secret_key(),)) if by.algorithm.startswith("HS") else key_set(by)


def judge_signed(signature: bytes, by: Author) -> Verdict:
    """What is said of a token with this signature where `by` is the issuer."""
    signing_input = mint(by).rpartition(".")[0]
    return judge(f"{signing_input}.{encode(signature)}", issuer(keys=keys_of(by), algorithms=EVERY))


def signature_of(by: Author) -> bytes:
    return by.sign(mint(by).rpartition(".")[0].encode())


def halves(by: Author) -> tuple[int, int]:
    signature = signature_of(by)
    size = SIZES[by.algorithm]
    return int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")


def raw(algorithm: str, r: int, s: int) -> bytes:
    size = SIZES[algorithm]
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


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
    wrong, cause = {
        "short": (good[:-1], "the token was cut off"),
        "long": (good + b"\0", "something was added to the token"),
        "one byte": (b"\0", "the token was cut off"),
        "huge": (good + bytes(4000), "something was added to the token"),
    }[size]
    said = f'has {len(wrong)} bytes, and one with key "key-1" has {len(good)}: {cause}'
    assert_refused(judge_signed(wrong, by), Reason.SIGNATURE_INVALID, said)


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
@pytest.mark.parametrize(
    "algorithm", ["RS256", "ES256", "ES256K", "Ed25519", "Ed448", "ML-DSA-44", "HS256"]
)
def test_a_signature_holds_under_no_other_name(algorithm: str, declared: str) -> None:
    """But that an Ed25519 or Ed448 key's signature is called EdDSA too (RFC 9864)."""
    by = author(algorithm)
    verdict = judge(mint(by, header={"alg": declared}), issuer(keys=keys_of(by), algorithms=EVERY))
    if declared == algorithm or (declared == "EdDSA" and algorithm in {"Ed25519", "Ed448"}):
        assert_passes(verdict)
    elif declared in fitting(RSA) and algorithm == "RS256":
        assert_refused(verdict, Reason.SIGNATURE_INVALID, declared)
    else:
        assert_refused(verdict, Reason.KEY_MISMATCH, declared)


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
@pytest.mark.parametrize("named", ["EdDSA", "the curve's"])
@pytest.mark.parametrize("declared", [None, "EdDSA", "the curve's"])
def test_both_names_of_an_edwards_curve_are_one_algorithm(
    curve: str, named: str, declared: str | None
) -> None:
    by = author(curve)
    names = {None: None, "EdDSA": "EdDSA", "the curve's": curve}
    keys = key_set(by.jwk(alg=names[declared]))
    assert_passes(judge(mint(by, header={"alg": names[named]}), issuer(keys=keys)))


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


@pytest.mark.parametrize("algorithm", SIZES)
def test_an_ecdsa_signature_in_der_does_not_hold(algorithm: str) -> None:
    by = author(algorithm)
    assert_refused(judge_signed(encode_dss_signature(*halves(by)), by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("algorithm", SIZES)
@pytest.mark.parametrize(
    ("before_r", "before_s"),
    [
        pytest.param(-1, 0, id="r a byte short"),
        pytest.param(0, -1, id="s a byte short"),
        pytest.param(-1, -1, id="both a byte short"),
        pytest.param(1, 0, id="a zero before r"),
        pytest.param(0, 1, id="a zero before s"),
        pytest.param(1, 1, id="a zero before both"),
    ],
)
def test_each_half_of_an_ecdsa_signature_has_the_curves_length(
    algorithm: str, before_r: int, before_s: int
) -> None:
    by = author(algorithm)
    good = raw(algorithm, *halves(by))
    r, s = good[: SIZES[algorithm]], good[SIZES[algorithm] :]
    padded = [
        half[1:] if zeros < 0 else bytes(zeros) + half
        for half, zeros in ((r, before_r), (s, before_s))
    ]
    assert_refused(judge_signed(b"".join(padded), by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("algorithm", SIZES)
@pytest.mark.parametrize(
    ("r", "s"),
    [
        pytest.param("0", "0", id="r and s are 0"),
        pytest.param("0", "1", id="r is 0"),
        pytest.param("1", "0", id="s is 0"),
        pytest.param("0", "good", id="r is 0 before a good s"),
        pytest.param("good", "0", id="s is 0 behind a good r"),
        pytest.param("n", "n", id="r and s are the order"),
        pytest.param("n", "1", id="r is the order"),
        pytest.param("1", "n", id="s is the order"),
        pytest.param("n", "good", id="r is the order before a good s"),
        pytest.param("good", "n", id="s is the order behind a good r"),
        pytest.param("n+1", "n+1", id="r and s are over the order"),
        pytest.param("n-1", "n-1", id="r and s are the largest that may be"),
        pytest.param("max", "max", id="r and s are as large as can be"),
        pytest.param("1", "1", id="r and s are 1"),
    ],
)
def test_a_psychic_signature_does_not_hold(algorithm: str, r: str, s: str) -> None:
    """CVE-2022-21449: some verifiers took zeros for a signature of everything."""
    by, n = author(algorithm), ORDERS[algorithm]
    numbers = {"0": 0, "1": 1, "n": n, "n+1": n + 1, "n-1": n - 1}
    numbers["max"] = 2 ** (8 * SIZES[algorithm]) - 1
    good_r, good_s = halves(by)
    forged = raw(algorithm, numbers.get(r, good_r), numbers.get(s, good_s))
    assert_refused(judge_signed(forged, by), Reason.SIGNATURE_INVALID)


def test_a_half_that_is_the_same_modulo_the_order_does_not_hold() -> None:
    """Only P-521's halves leave room for it."""
    by, n = author("ES512"), ORDERS["ES512"]
    r, s = halves(by)
    for other in (raw("ES512", r + n, s), raw("ES512", r, s + n)):
        assert_refused(judge_signed(other, by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("algorithm", SIZES)
def test_an_ecdsa_signature_with_its_halves_swapped_does_not_hold(algorithm: str) -> None:
    by = author(algorithm)
    r, s = halves(by)
    assert_refused(judge_signed(raw(algorithm, s, r), by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("algorithm", ML_DSA)
def test_ml_dsa_signs_with_an_empty_context(algorithm: str) -> None:
    """RFC 9964, section 5."""
    by = author(algorithm)
    signing_input = mint(by).rpartition(".")[0].encode()
    assert_passes(judge_signed(by.private_key.sign(signing_input, b""), by))
    for_another = by.private_key.sign(signing_input, b"JWT")
    assert_refused(judge_signed(for_another, by), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize(
    ("algorithm", "size"), [("ML-DSA-44", 2420), ("ML-DSA-65", 3309), ("ML-DSA-87", 4627)]
)
def test_a_token_of_ml_dsa_is_within_the_limits(algorithm: str, size: int) -> None:
    """The sizes of signatures are those of RFC 9964, section 5; the limit is the default one."""
    by = author(algorithm)
    assert len(signature_of(by)) == size
    assert len(mint(by)) < Limits().token_bytes / 2


@pytest.mark.parametrize("algorithm", ML_DSA)
@pytest.mark.parametrize("signer", ML_DSA)
def test_an_akp_key_is_bound_to_its_alg(algorithm: str, signer: str) -> None:
    by, other = author(algorithm), author(signer)
    forged = mint(other, header={"alg": algorithm})
    verdict = judge(forged, issuer(keys=key_set(by)))
    if signer == algorithm:
        assert_passes(verdict)
    else:
        assert_refused(verdict, Reason.SIGNATURE_INVALID, algorithm)
        honest = judge(mint(other), issuer(keys=key_set(by)))
        assert_refused(honest, Reason.KEY_MISMATCH, f"an AKP key for {algorithm}", signer)


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC))
def test_every_asymmetric_algorithm_serves_where_a_key_says_so(algorithm: str) -> None:
    by = author(algorithm)
    assert_passes(judge(mint(by), issuer(keys=key_set(by))))


def test_es256_and_es256k_are_two_algorithms() -> None:
    """Their curves have one size, and so have their signatures."""
    for by, other in ((author("ES256"), "ES256K"), (author("ES256K"), "ES256")):
        verdict = judge(mint(by, header={"alg": other}), issuer(keys=key_set(by)))
        assert_refused(verdict, Reason.KEY_MISMATCH, other)
