"""Sender-constrained tokens: RFC 9449 (DPoP) and RFC 8705 (client certificates)."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.checks.proof import ProofUse
from sidecar.token.dpop import MOST_SKEW, WINDOW, check_dpop
from sidecar.token.reason import DpopError, Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Proof, Request, Scheme, Verdict
from sidecar.token.snapshot import Binding
from sidecar.token.use import Use
from sidecar.token.validator import explain, validate
from tests.authors import CORP, author
from tests.proofs import HOLDER, METHOD, TARGET, bound, dpop, proof, thumbprint
from tests.refusals import Used
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    NOW,
    assert_explains,
    assert_passes,
    assert_refused,
    consumers,
    encode,
    issuer,
    judge,
    mint,
    world,
)

TOKEN = bound()
CERTIFICATE = hashlib.sha256(b"a client certificate").digest()
WITH_CERTIFICATE = mint(cnf={"x5t#S256": encode(CERTIFICATE)})
STRANGER = author("ES256", None, other=8)


def test_a_token_with_the_proof_of_its_key_passes() -> None:
    assert_passes(judge(TOKEN, proof=proof(TOKEN)))


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"])
def test_a_proof_may_be_signed_with_any_key_pair(algorithm: str) -> None:
    by = author(algorithm, None)
    jkt = _thumbprint_by_the_book(by.jwk(kid=None))
    token = mint(cnf={"jkt": jkt})
    assert_passes(judge(token, proof=proof(token, by)))


def _thumbprint_by_the_book(jwk: dict[str, Any]) -> str:
    needed = {"EC": "crv kty x y", "RSA": "e kty n", "OKP": "crv kty x"}[jwk["kty"]].split()
    text = "{" + ",".join(f'"{name}":"{jwk[name]}"' for name in needed) + "}"
    return encode(hashlib.sha256(text.encode()).digest())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"header": {"typ": "JWT"}}, ('typ is "JWT"', "dpop+jwt"), id="typ"),
        pytest.param({"header": {"typ": ABSENT}}, ("typ is absent",), id="no typ"),
        pytest.param({"header": {"alg": "none"}}, ('alg is "none"',), id="alg none"),
        pytest.param({"header": {"alg": "HS256"}}, ('alg is "HS256"',), id="a symmetric alg"),
        pytest.param({"header": {"alg": "ES384"}}, ("alg is ES384", "P-256"), id="another alg"),
        pytest.param({"header": {"jwk": ABSENT}}, ("jwk", "null"), id="no jwk"),
        pytest.param({"header": {"jwk": "x"}}, ("jwk", "a string"), id="jwk is no object"),
        pytest.param(
            {"header": {"jwk": HOLDER.private_jwk()}}, ("private members",), id="a private jwk"
        ),
        pytest.param(
            {"header": {"jwk": {"kty": "oct", "k": "x"}}}, ("symmetric",), id="a symmetric jwk"
        ),
        pytest.param(
            {
                "header": {
                    "alg": "RS256",
                    "jwk": {"kty": "RSA", "n": encode(b"\xff" * 513), "e": "AQAB"},
                }
            },
            ("4104 bits", "at most 4096"),
            id="an RSA key that is slow to verify with",
        ),
        pytest.param(
            {"header": {"crit": ["x"], "x": 1}}, ("crit", "no extension"), id="an extension"
        ),
        pytest.param({"htm": "GET"}, ('htm is "GET"', '"POST"'), id="another method"),
        pytest.param({"htm": "post"}, ('htm is "post"',), id="the method in lower case"),
        pytest.param({"htm": ABSENT}, ("htm is missing",), id="no method"),
        pytest.param({"htm": ["POST"]}, ("htm is an array",), id="a list of methods"),
        pytest.param(
            {"htu": "https://shop.example/carts"}, ("htu", "/carts", "/orders"), id="another path"
        ),
        pytest.param({"htu": "https://evil.example/orders"}, ("evil",), id="another host"),
        pytest.param({"htu": "http://shop.example/orders"}, ("http://",), id="another scheme"),
        pytest.param({"htu": "/orders"}, ("no absolute",), id="a path alone"),
        pytest.param(
            {"htu": "wss://shop.example/orders"}, ("http or https URI",), id="a WebSocket's URI"
        ),
        pytest.param({"htu": ""}, ("htu is empty",), id="an empty target"),
        pytest.param({"htu": 7}, ("htu is a number",), id="a target that is no string"),
        pytest.param({"iat": NOW - 61}, ("1 min 1 s ago", "1 min"), id="too old"),
        pytest.param({"iat": NOW + 1}, ("in the future",), id="from the future"),
        pytest.param({"iat": ABSENT}, ("no iat",), id="no iat"),
        pytest.param({"iat": str(NOW)}, ("iat is a string",), id="iat is a string"),
        pytest.param({"exp": NOW}, ("expired",), id="expired by its own exp"),
        pytest.param({"exp": "x"}, ("exp is a string",), id="exp is a string"),
        pytest.param({"nbf": NOW + 1}, ("valid only",), id="not yet valid by its own nbf"),
        pytest.param({"nbf": None}, ("nbf is null",), id="nbf is null"),
        pytest.param({"ath": ABSENT}, ("ath is missing",), id="no hash of the token"),
        pytest.param({"ath": encode(CERTIFICATE)}, ("another one",), id="for another token"),
        pytest.param({"jti": ABSENT}, ("jti is missing",), id="no jti"),
        pytest.param({"jti": ""}, ("jti is empty",), id="an empty jti"),
        pytest.param({"jti": "x" * 1025}, ("jti has more than 1024",), id="a huge jti"),
    ],
)
def test_a_proof_with_a_fault_is_refused(changed: dict[str, Any], words: tuple[str, ...]) -> None:
    verdict = judge(TOKEN, proof=proof(TOKEN, **changed))
    assert_refused(verdict, Reason.PROOF_INVALID, "the DPoP proof does not hold", *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("x", ("no signed JWT", "1 part"), id="no JWT"),
        pytest.param(dpop(TOKEN)[:-4] + "AAAA", ("signature does not hold",), id="forged"),
        pytest.param("x" * 16385, ("16384",), id="huge"),
        pytest.param(f"{dpop(TOKEN)},{dpop(TOKEN)}", ("no signed JWT",), id="two proofs"),
    ],
)
def test_what_is_no_proof_is_refused(text: str, words: tuple[str, ...]) -> None:
    verdict = judge(TOKEN, proof=Proof(text, METHOD, TARGET))
    assert_refused(verdict, Reason.PROOF_INVALID, *words)


@pytest.mark.parametrize("typ", ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt"])
def test_the_typ_of_a_proof_is_compared_as_a_media_type(typ: str) -> None:
    assert_passes(judge(TOKEN, proof=proof(TOKEN, header={"typ": typ})))


def test_a_jti_may_have_1024_characters() -> None:
    assert_passes(judge(TOKEN, proof=proof(TOKEN, jti="x" * 1024)))


def test_a_proof_may_have_16384_characters() -> None:
    missing = 16384 - len(dpop(TOKEN, note=""))
    proven = dpop(TOKEN, note="x" * (missing // 4 * 3))
    assert 16380 < len(proven) <= 16384
    assert_passes(judge(TOKEN, proof=Proof(proven, METHOD, TARGET)))


@pytest.mark.parametrize(
    "htu",
    [
        "https://shop.example/orders?id=1",
        "https://shop.example/orders#top",
        "HTTPS://SHOP.example:443/orders",
        "https://shop.example/a/../%6frders",
    ],
)
def test_a_target_is_compared_normalised_without_query_and_fragment(htu: str) -> None:
    assert_passes(judge(TOKEN, proof=proof(TOKEN, htu=htu)))


@pytest.mark.parametrize(
    ("htu", "target", "passes"),
    [
        pytest.param("https://h/a", "wss://h/a", True, id="wss is https"),
        pytest.param("https://h/a", "WSS://h:443/a", True, id="in capitals, with its port"),
        pytest.param("http://h/a", "ws://h:80/a", True, id="ws is http"),
        pytest.param("http://h/a", "wss://h/a", False, id="wss is not http"),
        pytest.param("https://h/a", "ws://h/a", False, id="ws is not https"),
        pytest.param("wss://h/a", "wss://h/a", False, id="a proof is for an HTTP request"),
    ],
)
def test_a_websockets_handshake_is_an_http_request(htu: str, target: str, passes: bool) -> None:
    verdict = judge(TOKEN, proof=Proof(dpop(TOKEN, htu=htu), METHOD, target))
    if passes:
        assert_passes(verdict)
    else:
        assert_refused(verdict, Reason.PROOF_INVALID)


@pytest.mark.parametrize(
    ("htu", "target"),
    [
        (f"https://evil.example/?access_token={TOKEN}", TARGET),
        (f"https://evil.example/#{TOKEN}", TARGET),
        (TARGET, f"https://evil.example/?access_token={TOKEN}"),
        (f"https://alice:{TOKEN}@shop.example/", TARGET),
        (f"https://shop.example:{TOKEN}/", TARGET),
        (f"https://[{TOKEN}]/", TARGET),
    ],
)
def test_what_a_target_may_keep_secret_is_not_in_the_message(htu: str, target: str) -> None:
    proven = Proof(dpop(TOKEN, htu=htu), METHOD, target)
    refusal = assert_refused(judge(TOKEN, proof=proven), Reason.PROOF_INVALID)
    assert TOKEN[:16].lower() not in refusal.message.lower()


@pytest.mark.parametrize("age", [0, 30, 59, 59.999])
def test_a_proof_is_good_for_a_minute(age: float) -> None:
    assert_passes(judge(TOKEN, proof=proof(TOKEN, iat=NOW - age)))


@pytest.mark.parametrize(("skew", "most"), [(30.0, 30.0), (600.0, 60.0)])
def test_the_clock_skew_serves_a_proof_too_up_to_a_minute(skew: float, most: float) -> None:
    party = issuer(clock_skew=skew)
    for iat in (NOW + most, NOW - 60 - most + 0.001):
        assert_passes(judge(TOKEN, party, proof=proof(TOKEN, iat=iat)))
    for iat in (NOW + most + 0.001, NOW - 60 - most):
        verdict = judge(TOKEN, party, proof=proof(TOKEN, iat=iat))
        assert_refused(verdict, Reason.PROOF_INVALID, "clock skew allowed")


def test_a_proof_is_good_for_no_longer_than_it_is_remembered() -> None:
    party, proven = issuer(clock_skew=600.0), proof(TOKEN)
    first, end = NOW - MOST_SKEW, NOW + WINDOW + MOST_SKEW
    checked = check_dpop(Request(TOKEN, proof=proven), thumbprint(), NOW, 600.0)
    assert checked.end == end
    for now in (first, end - 0.001):
        assert_passes(judge(TOKEN, party, now=now, proof=proven))
    for now in (first - 0.001, end):
        assert_refused(judge(TOKEN, party, now=now, proof=proven), Reason.PROOF_INVALID)


def test_a_proof_may_limit_its_own_time_further() -> None:
    party = issuer(clock_skew=30.0)
    assert_passes(judge(TOKEN, party, proof=proof(TOKEN, nbf=NOW + 30, exp=NOW - 29)))
    for proven in (proof(TOKEN, nbf=NOW + 31), proof(TOKEN, exp=NOW - 30)):
        verdict = judge(TOKEN, party, proof=proven)
        assert_refused(verdict, Reason.PROOF_INVALID, "clock skew allowed")


def test_a_proof_with_another_key_than_the_tokens_is_refused() -> None:
    verdict = judge(TOKEN, proof=proof(TOKEN, STRANGER))
    assert_refused(verdict, Reason.PROOF_INVALID, "another key", thumbprint(STRANGER))


def test_a_bound_token_without_its_proof_is_refused() -> None:
    assert_refused(judge(TOKEN), Reason.PROOF_INVALID, "cnf.jkt", "no DPoP proof")
    verdict = judge(WITH_CERTIFICATE)
    assert_refused(verdict, Reason.PROOF_INVALID, "cnf.x5t#S256", "none was shown")


@pytest.mark.parametrize(
    ("token", "proven"),
    [
        pytest.param(TOKEN, replace(proof(TOKEN), scheme=Scheme.DPOP), id="bound, as DPoP"),
        pytest.param(mint(), Proof(scheme=Scheme.BEARER), id="free, as Bearer"),
        pytest.param(
            WITH_CERTIFICATE,
            Proof(client_certificate_sha256=CERTIFICATE, scheme=Scheme.BEARER),
            id="bound to a certificate, as Bearer",
        ),
    ],
)
def test_a_token_under_the_scheme_of_its_kind_passes(token: str, proven: Proof) -> None:
    assert_passes(judge(token, proof=proven))


@pytest.mark.parametrize(
    ("token", "proven", "error", "words"),
    [
        pytest.param(
            TOKEN,
            replace(proof(TOKEN), scheme=Scheme.BEARER),
            DpopError.PROOF,
            "as a bearer token",
            id="bound, as Bearer",
        ),
        pytest.param(
            TOKEN, Proof(scheme=Scheme.DPOP), DpopError.PROOF, "no DPoP proof", id="without proof"
        ),
        pytest.param(
            TOKEN, proof(TOKEN, htm="GET"), DpopError.PROOF, "htm", id="with a proof of no use"
        ),
        pytest.param(
            mint(), Proof(scheme=Scheme.DPOP), DpopError.TOKEN, "send it as Bearer", id="free"
        ),
        pytest.param(
            WITH_CERTIFICATE,
            Proof(client_certificate_sha256=CERTIFICATE, scheme=Scheme.DPOP),
            DpopError.TOKEN,
            "no DPoP key",
            id="bound to a certificate, as DPoP",
        ),
        pytest.param(mint(), proof(mint()), None, "bound to no key", id="a proof of a free one"),
    ],
)
def test_a_client_is_told_how_to_use_dpop(
    token: str, proven: Proof, error: DpopError | None, words: str
) -> None:
    refusal = assert_refused(judge(token, proof=proven), Reason.PROOF_INVALID, words)
    assert refusal.dpop is error


def test_a_token_that_is_bound_to_the_client_certificate_passes() -> None:
    assert_passes(judge(WITH_CERTIFICATE, proof=Proof(client_certificate_sha256=CERTIFICATE)))


def test_a_token_that_is_bound_to_another_certificate_is_refused() -> None:
    other = Proof(client_certificate_sha256=hashlib.sha256(b"another").digest())
    assert_refused(judge(WITH_CERTIFICATE, proof=other), Reason.PROOF_INVALID, "another client")


def test_a_certificate_is_no_proof_of_a_dpop_key_nor_the_other_way_round() -> None:
    shown = Proof(client_certificate_sha256=CERTIFICATE)
    assert_refused(judge(TOKEN, proof=shown), Reason.PROOF_INVALID, "no DPoP proof")
    proven = proof(WITH_CERTIFICATE)
    assert_refused(judge(WITH_CERTIFICATE, proof=proven), Reason.PROOF_INVALID, "certificate")


def test_a_token_that_is_bound_twice_needs_both() -> None:
    token = bound(cnf={"jkt": thumbprint(), "x5t#S256": encode(CERTIFICATE)})
    proven = dpop(token)
    assert_passes(judge(token, proof=Proof(proven, METHOD, TARGET, CERTIFICATE)))
    for half in (Proof(proven, METHOD, TARGET), Proof(client_certificate_sha256=CERTIFICATE)):
        assert_refused(judge(token, proof=half), Reason.PROOF_INVALID)


def test_a_dpop_proof_beside_a_certificate_bound_token_is_refused() -> None:
    both = Proof(dpop(WITH_CERTIFICATE), METHOD, TARGET, CERTIFICATE)
    assert_refused(judge(WITH_CERTIFICATE, proof=both), Reason.PROOF_INVALID, "no DPoP key")


def test_a_dpop_proof_beside_a_bearer_token_is_refused() -> None:
    verdict = judge(mint(), proof=proof(mint()))
    assert_refused(verdict, Reason.PROOF_INVALID, "bound to no key")


def test_a_client_certificate_beside_a_bearer_token_says_nothing() -> None:
    assert_passes(judge(mint(), proof=Proof(client_certificate_sha256=CERTIFICATE)))


@pytest.mark.parametrize(
    "cnf",
    [{}, None, "x", [], 1, True, {"kid": "x"}, {"jwk": {}}, {"jkt": 1}, {"jkt": None}],
    ids=repr,
)
def test_a_confirmation_that_cant_be_checked_is_refused(cnf: object) -> None:
    token = mint(cnf=cnf)
    assert_refused(judge(token), Reason.PROOF_INVALID, "cnf")
    assert_refused(judge(token, proof=proof(token)), Reason.PROOF_INVALID)


def test_members_of_cnf_that_are_not_known_are_ignored_beside_one_that_is() -> None:
    token = bound(cnf={"jkt": thumbprint(), "kid": "x"})
    assert_passes(judge(token, proof=proof(token)))


@pytest.mark.parametrize("path", ["", "x"])
def test_an_empty_thumbprint_is_no_proof(path: str) -> None:
    token = mint(cnf={"jkt": path})
    assert_refused(judge(token, proof=proof(token)), Reason.PROOF_INVALID, "another key")


def test_an_issuer_may_demand_bound_tokens() -> None:
    party = issuer(proof=Binding.REQUIRED)
    assert_refused(judge(mint(), party), Reason.PROOF_INVALID, "issuer corp requires")
    assert_passes(judge(TOKEN, party, proof=proof(TOKEN)))


def test_an_issuer_may_ignore_bindings() -> None:
    party = issuer(proof=Binding.IGNORED)
    for token in (TOKEN, WITH_CERTIFICATE, mint(cnf="x"), mint()):
        assert_passes(judge(token, party, proof=Proof("no proof at all", METHOD, TARGET)))


def test_a_consumers_bound_token_needs_its_proof_too() -> None:
    token = mint(JACK, iss=ABSENT, key=JACK_KEY, cnf={"jkt": thumbprint()})
    assert_refused(judge(token, consumers()), Reason.PROOF_INVALID)
    assert_passes(judge(token, consumers(), proof=proof(token)))


def test_a_proof_is_used_once() -> None:
    used = ProofMemory(forget_nothing)
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))
    verdict = judge(TOKEN, proof=proof(TOKEN), used=used)
    assert_refused(verdict, Reason.REPLAYED, "was used before")
    assert_passes(judge(TOKEN, proof=proof(TOKEN, jti="proof-2"), used=used))


def test_the_same_jti_of_another_key_is_another_proof() -> None:
    used, other = ProofMemory(forget_nothing), bound(STRANGER)
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))
    assert_passes(judge(other, proof=proof(other, STRANGER), used=used))


def test_a_proof_is_not_used_up_by_a_token_that_is_refused() -> None:
    used = ProofMemory(forget_nothing)
    assert_refused(judge(TOKEN, proof=proof(TOKEN), used=used, audiences=("x",)), _AUDIENCE)
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))


def test_where_no_more_proofs_can_be_remembered_none_passes() -> None:
    used, other = ProofMemory(forget_nothing, most=1), bound(STRANGER)
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))
    verdict = judge(other, proof=proof(other, STRANGER), used=used)
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "can be remembered; try again")


def test_a_token_without_a_proof_takes_no_room_among_those_that_are_remembered() -> None:
    used = ProofMemory(forget_nothing, most=1)
    assert_passes(judge(mint(), used=used))
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))


def test_a_key_that_has_used_up_its_share_is_refused_and_no_other() -> None:
    used, other = ProofMemory(forget_nothing, most=3), bound(STRANGER)
    for jti in ("1", "2"):
        assert_passes(judge(TOKEN, proof=proof(TOKEN, jti=jti), used=used))
    verdict = judge(TOKEN, proof=proof(TOKEN, jti="3"), used=used)
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "client's key", "send fewer requests")
    assert_passes(judge(other, proof=proof(other, STRANGER), used=used))


def test_a_key_has_its_share_also_where_proofs_are_remembered_together() -> None:
    used, uses = ProofMemory(forget_nothing, most=3, shared=True), Shared()
    for jti in ("1", "2"):
        assert_passes(judge(TOKEN, proof=proof(TOKEN, jti=jti), used=used, outside=uses))
    verdict = judge(TOKEN, proof=proof(TOKEN, jti="3"), used=used, outside=uses)
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "send fewer requests")
    assert len(uses.used) == 2


def test_a_proof_that_may_be_forgotten_since_the_clock_was_set_back_does_not_pass() -> None:
    now = float(NOW)
    used = ProofMemory(lambda: now)
    assert_passes(judge(TOKEN, proof=proof(TOKEN), used=used))
    now = NOW + WINDOW + MOST_SKEW + 1
    assert_passes(judge(TOKEN, now=now, proof=proof(TOKEN, iat=now, jti="2"), used=used))
    now = float(NOW)
    verdict = judge(TOKEN, proof=proof(TOKEN), used=used)
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "set back", "correct the clock")
    fresh = proof(TOKEN, iat=NOW + 2, jti="3")
    assert_passes(judge(TOKEN, issuer(clock_skew=30.0), now=NOW + 2, proof=fresh, used=used))


def test_a_token_of_another_author_is_judged_by_its_signature_first() -> None:
    token = mint(CORP.calling_itself("key-9"), cnf={"jkt": thumbprint()})
    assert_refused(judge(token, proof=proof(token)), Reason.KEY_NOT_FOUND)


class Shared:
    """Answers as a store does that several processes ask."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.asked: list[ProofUse] = []

    def answer(self, question: Any, now: float) -> Any:
        assert isinstance(question, ProofUse)
        self.asked.append(question)
        if question.name in self.used:
            return Use.AGAIN
        if question.uses_up:
            self.used.add(question.name)
        return Use.FIRST


def shared(token: str, uses: Any, now: float = NOW, **claims: Any) -> Verdict:
    """What is said of a token and its proof where proofs are remembered by several processes."""
    asked = Request(token, proof=proof(token, **claims))
    used = ProofMemory(forget_nothing, shared=True)
    explanation = explain(asked, world(issuer()), now, used, uses)
    verdict = validate(asked, world(issuer()), now, used, None, uses)
    assert_explains(explanation, verdict)
    return verdict


def test_a_proof_is_used_once_by_all_who_remember_proofs_together() -> None:
    uses = Shared()
    assert_passes(shared(TOKEN, uses))
    assert_refused(shared(TOKEN, uses), Reason.REPLAYED, "the DPoP proof was used before")
    assert_passes(shared(TOKEN, uses, jti="proof-2"))


def test_where_proofs_are_remembered_together_a_token_without_one_asks_nobody() -> None:
    used = ProofMemory(forget_nothing, shared=True)
    assert_passes(validate(Request(mint()), world(issuer()), NOW, used))


def test_where_it_is_not_known_whether_a_proof_was_used_it_does_not_pass() -> None:
    words = ("the DPoP proof was used", "store does not answer", "try again")
    assert_refused(shared(TOKEN, Used(Use.UNKNOWN)), Reason.STATE_UNAVAILABLE, *words)
    verdict = shared(TOKEN, Used(Use.FORGOTTEN))
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, "the clock", "was set back")


def test_a_proof_is_not_used_up_for_others_by_a_token_that_is_refused() -> None:
    uses = Shared()
    assert_refused(shared(TOKEN, uses, htm="GET"), Reason.PROOF_INVALID)
    assert uses.asked == []


def test_the_answer_is_that_to_the_question_a_moment_before() -> None:
    """The checks are run again with it, at a later time: it must not be asked for once more."""
    uses = Shared()
    for now in (NOW, NOW + 0.5):
        shared(TOKEN, uses, now)
    first, again = (one for one in uses.asked if one.uses_up)
    assert first == again
    assert hash(first) == hash(again)


def test_a_used_proof_is_remembered_as_long_as_it_could_pass_anywhere() -> None:
    uses = Shared()
    shared(TOKEN, uses)
    assert uses.asked[0].expire_time > NOW + WINDOW + MOST_SKEW


_AUDIENCE = Reason.AUDIENCE_MISMATCH
