"""Which of an issuer's keys a token is verified with."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.token.keyset import KeySet, parse_jwks
from sidecar.token.reason import Reason
from tests.authors import CORP, STRANGER, Author, author, key_set, rsa_key
from tests.tokens import (
    ABSENT,
    as_json,
    assert_passes,
    assert_refused,
    issuer,
    judge,
    mint,
    world,
)

WEAK = replace(author("RS256", "weak"), private_key=rsa_key("rsa-2047"))
BOTH = frozenset({"ES256", "RS256"})


def several(count: int) -> list[Author]:
    return [author("ES256", f"key-{number}", number) for number in range(count)]


def unnamed(*members: Author) -> list[dict[str, Any]]:
    return [member.jwk(kid=None) for member in members]


@pytest.mark.parametrize("number", range(3))
def test_a_kid_selects_its_key(number: int) -> None:
    keys = key_set(*several(3))
    verified = assert_passes(judge(mint(several(3)[number]), issuer(keys=keys)))
    assert verified.key_id == f"key-{number}"


def test_a_kid_selects_its_key_alone() -> None:
    """The signature is another's of the same set."""
    token = mint(several(2)[1], header={"kid": "key-0"})
    assert_refused(judge(token, issuer(keys=key_set(*several(2)))), Reason.SIGNATURE_INVALID)


@pytest.mark.parametrize("key_id", ["Key-1", "key-1 ", "key", "", "KEY-1", "key-1\0"])
def test_a_kid_is_compared_exactly(key_id: str) -> None:
    assert_refused(judge(mint(header={"kid": key_id})), Reason.KEY_NOT_FOUND, '"key-1"')


@pytest.mark.parametrize("count", [1, 8])
def test_without_a_kid_every_fitting_key_is_tried(count: int) -> None:
    for by in (several(count)[0], several(count)[-1]):
        token = mint(by.calling_itself(None))
        verified = assert_passes(judge(token, issuer(keys=key_set(*several(count)))))
        assert verified.key_id == by.key_id


def test_without_a_kid_and_nine_fitting_keys_none_is_tried() -> None:
    token = mint(CORP.calling_itself(None))
    assert_refused(judge(token, issuer(keys=key_set(*several(9)))), Reason.KEY_ID_MISSING)


def test_keys_that_do_not_fit_do_not_count_among_the_eight() -> None:
    others = [author("RS256", f"rsa-{number}") for number in range(4)]
    keys = key_set(*others, *several(8), author("ES384", "p-384"))
    assert_passes(judge(mint(several(8)[7].calling_itself(None)), issuer(keys=keys)))


def test_without_a_kid_a_signature_of_none_of_them_is_refused() -> None:
    token = mint(author(other=9).calling_itself(None))
    verdict = judge(token, issuer(keys=key_set(*several(3))))
    assert_refused(verdict, Reason.SIGNATURE_INVALID, "any of the 3 keys that fit ES256")


def test_a_key_without_a_kid_stands_in_for_a_kid_that_is_not_there() -> None:
    keys = key_set(author(key_id="other", other=2), *unnamed(CORP))
    assert assert_passes(judge(mint(), issuer(keys=keys))).key_id == ""


def test_a_key_without_a_kid_does_not_stand_in_for_one_that_is_there() -> None:
    keys = key_set(author(other=2), *unnamed(CORP))
    assert_refused(judge(mint(), issuer(keys=keys)), Reason.SIGNATURE_INVALID)


def test_a_token_with_a_kid_is_not_said_to_have_none() -> None:
    keys = key_set(*unnamed(*several(9)))
    refusal = assert_refused(judge(mint(), issuer(keys=keys)), Reason.KEY_ID_MISSING, "9 keys")
    assert "names no key" not in refusal.message


def test_an_unusable_key_gives_its_own_reason() -> None:
    keys = key_set(WEAK, author("ES256", "enc").jwk(use="enc"), CORP)
    party = issuer(keys=keys, algorithms=BOTH)
    assert_refused(judge(mint(WEAK), party), Reason.KEY_TOO_WEAK, '"weak"', "2047 bits")
    encrypting = mint(author("ES256", "enc"))
    assert_refused(judge(encrypting, party), Reason.KEY_MISMATCH, '"enc"', 'not "sig"')


def test_an_unusable_key_gives_its_own_reason_where_no_algorithms_are_configured() -> None:
    """And is the only key: no algorithm fits what can't be used."""
    verdict = judge(mint(WEAK), issuer(keys=key_set(WEAK)))
    assert_refused(verdict, Reason.KEY_TOO_WEAK, '"weak"', "2047 bits")


def test_a_new_key_of_another_type_is_not_found_and_so_may_be_fetched() -> None:
    """A rotation from ES256 to RS256: the set is old, not the algorithm forbidden."""
    new = author("RS256", "new")
    assert_refused(judge(mint(new), issuer(keys=key_set(CORP))), Reason.KEY_NOT_FOUND, '"new"')


def test_a_set_without_a_usable_key_says_so() -> None:
    verdict = judge(mint(header={"kid": ABSENT}), issuer(keys=KeySet(())))
    assert_refused(verdict, Reason.KEY_MISMATCH, "no usable key")


def test_of_two_keys_with_one_kid_the_first_counts() -> None:
    keys = key_set(CORP, STRANGER)
    assert_passes(judge(mint(CORP), issuer(keys=keys)))
    assert_refused(judge(mint(STRANGER), issuer(keys=keys)), Reason.SIGNATURE_INVALID)
    assert [str(one) for one in keys.unusable] == [
        'keys[1] (kid "key-1"): another key of the set has the same kid and kty; the first counts'
    ]


def test_two_keys_of_different_types_may_share_a_kid() -> None:
    """RFC 7517, section 4.5."""
    keys = key_set(CORP, author("RS256"))
    for by in (CORP, author("RS256")):
        assert_passes(judge(mint(by), issuer(keys=keys)))


def test_a_key_speaks_for_its_own_issuer_only() -> None:
    """Two issuers with one kid: each one's tokens pass as its own, and not as the other's."""
    other = "https://other.example"
    both = (issuer(), issuer("other", other, key_set(STRANGER)))
    assert assert_passes(judge(mint(), *both)).issuer_name == "corp"
    assert assert_passes(judge(mint(STRANGER, iss=other), *both)).issuer_name == "other"
    assert_refused(judge(mint(STRANGER), *both), Reason.SIGNATURE_INVALID)
    assert_refused(judge(mint(iss=other), *both), Reason.SIGNATURE_INVALID)
    assert_refused(judge(mint(), *both, issuer_name="other"), Reason.ISSUER_MISMATCH)


def test_a_key_that_was_taken_away_verifies_nothing() -> None:
    before = world(issuer())
    after = before.with_keys("corp", key_set(author(key_id="key-2", other=2)), "")
    assert_passes(judge(mint(), before.issuers["corp"]))
    assert_refused(judge(mint(), after.issuers["corp"]), Reason.KEY_NOT_FOUND)
    assert after.issuers_by_iss["https://corp.example"] is after.issuers["corp"]
    assert before.issuers["corp"].keys is not after.issuers["corp"].keys


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"<html>", "not JSON", id="a web page"),
        pytest.param(b"[]", "an array", id="an array"),
        pytest.param(b"{}", '"keys" must be an array and is absent', id="no keys"),
        pytest.param(b'{"keys":{}}', "is an object", id="keys is an object"),
        pytest.param(b'{"keys":"x"}', "is a string", id="keys is a string"),
        pytest.param(b'{"keys":[],"keys":[]}', "same name twice", id="keys is there twice"),
        pytest.param(b'{"keys":[' + b"1," * 1000 + b"1]}", "1001 keys", id="1001 keys"),
        pytest.param(b'{"keys":' + b"[" * 16 + b"]" * 16 + b"}", "deeper than 16", id="deep"),
        pytest.param(as_json(CORP.jwk()), "absent", id="one JWK alone"),
    ],
)
def test_what_is_no_jwk_set_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_jwks(data)


def test_a_jwk_set_of_1000_keys_is_read() -> None:
    keys = parse_jwks(as_json({"keys": [CORP.jwk(), *[{"kty": "new"}] * 999], "other": 1}))
    assert (len(keys.keys), len(keys.unusable)) == (1, 999)
