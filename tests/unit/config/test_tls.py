from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config.load import show
from sidecar.config.surroundings import Surroundings
from sidecar.config.tls import Files, Identity, Tls, Unfit
from tests.identities import EXPIRED, HERE, NOT_YET, Ca, Certified
from tests.unit.config.folder import Folder, configuration, issuer, signer

CA = Ca()
GOOD = CA.certify(*HERE)
OTHER = CA.certify(*HERE)
FILES = {"certificate_file": "tls.crt", "private_key_file": "tls.key"}
MUTUAL = {**FILES, "client_ca_file": "ca.crt"}


@pytest.fixture(autouse=True)
def pair(folder: Folder) -> None:
    write(folder, GOOD)
    folder.write("ca.crt", CA.certificate)


def write(folder: Folder, certified: Certified) -> None:
    folder.write("tls.crt", certified.certificate)
    folder.write("tls.key", certified.private_key)


def problems(folder: Folder, **listener: Any) -> list[str]:
    """What is wrong with this listener on TCP, without its place."""
    usual = {"address": "127.0.0.1:1", "services": ["validate"]}
    found = folder.problems(configuration(listeners=[{**usual, **listener}]))
    return [one.removeprefix("jwt-sidecar.yaml:1: listeners[0].") for one in found]


def encrypted(certified: Certified) -> bytes:
    key = load_pem_private_key(certified.private_key, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"marker"))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(rsa.generate_private_key(65537, 2048), id="RSA of 2048 bits"),
    ],
)
def test_keys_that_will_do(folder: Folder, key: Any) -> None:
    write(folder, CA.certify(*HERE, key=key))
    assert problems(folder, tls=MUTUAL) == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        pytest.param(ec.generate_private_key(ec.SECP521R1()), "an EC key on secp521r1", id="P-521"),
        pytest.param(
            ec.generate_private_key(ec.SECP256K1()), "an EC key on secp256k1", id="secp256k1"
        ),
        pytest.param(
            ed25519.Ed25519PrivateKey.generate(), "neither an EC nor an RSA key", id="Ed25519"
        ),
        pytest.param(
            rsa.generate_private_key(65537, 1024),  # noqa: S505
            "an RSA key of 1024 bits",
            id="RSA of 1024 bits",
        ),
    ],
)
def test_keys_that_no_caller_would_take(folder: Folder, key: Any, kind: str) -> None:
    write(folder, CA.certify(*HERE, key=key))
    assert problems(folder, tls=FILES) == [
        f"tls.private_key_file: tls.key: it is {kind}; TLS takes EC keys on P-256 and P-384 and "
        "RSA keys of 2048 bits or more"
    ]


BROKEN = GOOD.certificate.replace(b"M", b"?", 1)
NO_CERTIFICATE = "it has no PEM certificates, or one that is broken"
NO_KEY = "it has no private key in PEM, or one that is broken"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("tls.crt", b"", f"certificate_file: tls.crt: {NO_CERTIFICATE}", id="empty"),
        pytest.param(
            "tls.crt", BROKEN, f"certificate_file: tls.crt: {NO_CERTIFICATE}", id="broken"
        ),
        pytest.param(
            "tls.crt",
            GOOD.private_key,
            f"certificate_file: tls.crt: {NO_CERTIFICATE}",
            id="a key in the certificate's place",
        ),
        pytest.param("tls.key", b"", f"private_key_file: tls.key: {NO_KEY}", id="an empty key"),
        pytest.param(
            "tls.key",
            GOOD.private_key[:-60],
            f"private_key_file: tls.key: {NO_KEY}",
            id="half a key",
        ),
        pytest.param(
            "tls.key",
            GOOD.certificate,
            f"private_key_file: tls.key: {NO_KEY}",
            id="a certificate in the key's place",
        ),
        pytest.param(
            "tls.key",
            encrypted(GOOD),
            "private_key_file: tls.key: it is encrypted; write it without a password, readable "
            "for its user alone",
            id="an encrypted key",
        ),
        pytest.param(
            "tls.key",
            OTHER.private_key,
            "private_key_file: tls.key is not the key of the first certificate in tls.crt; use "
            "the two that were issued together",
            id="another's key",
        ),
        pytest.param(
            "tls.crt",
            CA.certificate + GOOD.certificate,
            "private_key_file: tls.key is not the key of the first certificate in tls.crt; use "
            "the two that were issued together",
            id="a chain that is upside down",
        ),
        pytest.param("ca.crt", b"", f"client_ca_file: ca.crt: {NO_CERTIFICATE}", id="an empty CA"),
        pytest.param(
            "ca.crt",
            b"x" * (1024 * 1024 + 1),
            "client_ca_file: ca.crt is larger than 1048576 bytes",
            id="a CA that is too large",
        ),
    ],
)
def test_files_that_are_unfit(folder: Folder, name: str, content: bytes, problem: str) -> None:
    folder.write(name, content)
    assert problems(folder, tls=MUTUAL) == [f"tls.{problem}"]


@pytest.mark.parametrize("name", list(MUTUAL))
def test_a_file_that_is_not_there(folder: Folder, name: str) -> None:
    (folder.path / MUTUAL[name]).unlink()
    assert problems(folder, tls=MUTUAL) == [
        f"tls.{name}: {MUTUAL[name]} can't be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(CA.leaf(), id="one that says so"),
        pytest.param(CA.unreadable_names(), id="one that can't be read"),
    ],
)
def test_a_certificate_that_is_no_cas_can_vouch_for_nobody(
    folder: Folder, other: Certified
) -> None:
    folder.write("ca.crt", other.certificate)
    assert problems(folder, tls=MUTUAL) == [
        "tls.client_ca_file: ca.crt: it has no certificate of a CA; put in the one that signs"
    ]


@pytest.mark.parametrize("life", [EXPIRED, NOT_YET])
def test_a_certificate_out_of_its_time_is_no_error(folder: Folder, life: Any) -> None:
    write(folder, CA.certify(*HERE, life=life))
    assert problems(folder, tls=FILES) == []


@pytest.mark.parametrize(
    ("listener", "messages"),
    [
        pytest.param({"tls": FILES}, [], id="TLS"),
        pytest.param({"tls": {**MUTUAL, "client_names": ["a.example"]}}, [], id="a name"),
        pytest.param({"tls": FILES, "transport": "grpcio"}, [], id="with grpcio"),
        pytest.param(
            {"tls": FILES, "transport": "native"},
            ["transport: native serves no TLS; write grpcio or auto, or remove tls"],
            id="with native",
        ),
        pytest.param(
            {"tls": FILES, "address": "unix:a.sock"},
            ["tls: has a meaning only with a TCP address; remove it"],
            id="on a Unix socket",
        ),
        pytest.param(
            {"tls": {"certificate_file": "tls.crt"}},
            ["tls.private_key_file: is missing"],
            id="no key",
        ),
        pytest.param(
            {"tls": {**FILES, "client_names": ["a.example"]}},
            ["tls.client_names: has a meaning only with client_ca_file; remove it"],
            id="names that no CA vouches for",
        ),
        pytest.param(
            {"tls": {**MUTUAL, "client_names": []}},
            ["tls.client_names: must have at least one entry; it is empty"],
            id="no names",
        ),
        pytest.param(
            {"tls": {**MUTUAL, "client_names": ["a.example", "*.b.example"]}},
            ["tls.client_names[1]: names are compared character for character; write each one out"],
            id="a pattern",
        ),
        pytest.param(
            {"tls": {**FILES, "client_ca": "ca.crt"}},
            ['tls.client_ca: unknown key; did you mean "client_ca_file"?'],
            id="a setting with another name",
        ),
        pytest.param({"tls": True}, ["tls: must be a mapping of settings; it is true"], id="true"),
    ],
)
def test_settings_of_tls(folder: Folder, listener: Any, messages: list[str]) -> None:
    assert problems(folder, **listener) == messages


def test_the_files_are_among_those_of_the_configuration(folder: Folder) -> None:
    listener = {"address": "127.0.0.1:1", "services": ["validate"], "tls": MUTUAL}
    files = folder.load(configuration(listeners=[listener])).files
    assert {str(folder.path / name) for name in MUTUAL.values()} <= set(files)


def test_settings_are_the_same_when_only_the_files_have_changed(folder: Folder) -> None:
    listener = {"address": "127.0.0.1:1", "services": ["validate"], "tls": MUTUAL}
    before = folder.load(configuration(listeners=[listener])).settings
    write(folder, OTHER)
    assert folder.load(configuration(listeners=[listener])).settings.listeners == before.listeners


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Of files that nobody changes."""
    directory = Folder(tmp_path_factory.mktemp("tls"))
    write(directory, GOOD)
    directory.write("ca.crt", CA.certificate)
    return Tls.model_validate(MUTUAL, context=Surroundings(str(directory.path), {}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # `pair` is not used
@given(
    which=st.sampled_from(["certificate", "private_key", "client_ca"]),
    at=st.integers(0, 900),
    byte=st.integers(0, 255),
)
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_changed_byte_leaves_files_that_fit_or_are_named(
    tls: Tls, which: str, at: int, byte: int
) -> None:
    whole = {
        "certificate": GOOD.certificate,
        "private_key": GOOD.private_key,
        "client_ca": CA.certificate,
    }
    changed = bytearray(whole[which])
    changed[at % len(changed)] = byte
    try:
        outcome: Identity | str = tls.identity(Files(**{**whole, which: bytes(changed)}))
    except Unfit as unfit:
        outcome = unfit.message
    assert isinstance(outcome, Identity) or "PRIVATE KEY" not in outcome


def test_no_private_key_is_in_a_repr(tls: Tls) -> None:
    assert "PRIVATE KEY" not in repr(tls.identity(tls.files()))


CALLERS = {"issuer": "corp"}


@pytest.mark.parametrize(
    ("caller_token", "messages"),
    [
        pytest.param({"issuer": "corp"}, [], id="an issuer"),
        pytest.param({"issuer": "own", "scopes": ["tokens:issue"]}, [], id="an accepted signer"),
        pytest.param({}, ["issuer: is missing"], id="no issuer"),
        pytest.param(
            {"issuer": "crop"},
            ['issuer: no issuer has the name "crop"; did you mean "corp"?'],
            id="a name with a slip",
        ),
        pytest.param(
            {"issuer": "unrelated"},
            ['issuer: no issuer has the name "unrelated"; known are corp, own'],
            id="a name of nothing",
        ),
        pytest.param(
            {"issuer": "mute"},
            [
                'issuer: no issuer has the name "mute"; the signer of this name is none: give it '
                "accept: true"
            ],
            id="a signer that is not accepted",
        ),
        pytest.param(
            {"issuer": "corp", "scopes": ["a b"]},
            [
                "scopes[0]: must be a scope (RFC 6749, section 3.3): printable ASCII without "
                'spaces, quotes and backslashes; it is the text "a b"'
            ],
            id="two scopes in one",
        ),
    ],
)
def test_settings_of_a_caller_token(
    folder: Folder, caller_token: dict[str, Any], messages: list[str]
) -> None:
    listener = {"address": "unix:a.sock", "services": ["validate"], "caller_token": caller_token}
    signers = [
        signer(name="own", accept=True),
        signer(
            name="mute",
            issuer="b",
            keys=[{"key_id": "2", "algorithm": "ES256", "private_key": {"file": "ec.pem"}}],
        ),
    ]
    found = folder.problems(configuration(listeners=[listener], signers=signers))
    place = "jwt-sidecar.yaml:1: listeners[0].caller_token."
    assert found == [f"{place}{message}" for message in messages]


def test_a_caller_token_with_no_issuer_at_all(folder: Folder) -> None:
    listener = {"address": "unix:a.sock", "services": ["issue"], "caller_token": CALLERS}
    found = folder.problems(configuration(listeners=[listener], issuers=None, signers=[signer()]))
    assert found == [
        'jwt-sidecar.yaml:1: listeners[0].caller_token.issuer: no issuer has the name "corp"; add '
        "one"
    ]


ANYONE, PROCESSES = "anyone who reaches", "every process that reaches"


@pytest.mark.parametrize("address", ["10.0.0.1:1", "0.0.0.0:1", "127.0.0.1:1", "[::1]:1"])
@pytest.mark.parametrize(
    ("settings", "lifts"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"tls": FILES}, "", id="TLS without a CA for callers"),
        pytest.param({"tls": MUTUAL}, "everywhere", id="certificates of callers"),
        pytest.param({"caller_token": CALLERS}, "everywhere", id="tokens of callers"),
        pytest.param({"tls": MUTUAL, "caller_token": CALLERS}, "everywhere", id="both"),
        pytest.param({"unauthenticated": True}, "on loopback", id="unauthenticated"),
        pytest.param({"unauthenticated": True, "tls": FILES}, "on loopback", id="that and TLS"),
    ],
)
def test_issuing_over_tcp_needs_callers_that_are_known(
    folder: Folder, address: str, settings: dict[str, Any], lifts: str
) -> None:
    is_loopback = address.startswith(("127.", "[::1]"))
    listener = {"address": address, "services": ["issue"], **settings}
    found = folder.problems(
        configuration(listeners=[listener], issuers=[issuer()], signers=[signer()])
    )
    if lifts == "everywhere" or (lifts and is_loopback):
        assert found == []
    else:
        (problem,) = found
        assert "listeners[0].services: issue would let " in problem
        assert (PROCESSES if is_loopback else ANYONE) in problem
        assert "tls.client_ca_file or caller_token" in problem


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        pytest.param({"tls": MUTUAL}, "tls.client_ca_file", id="certificates"),
        pytest.param({"caller_token": CALLERS}, "caller_token", id="tokens"),
    ],
)
def test_callers_that_are_known_are_not_unauthenticated(
    folder: Folder, settings: dict[str, Any], other: str
) -> None:
    assert problems(folder, unauthenticated=True, **settings) == [
        f"unauthenticated: contradicts {other}; remove one of the two"
    ]


def test_what_is_shown_of_tls_loads_as_the_same(folder: Folder) -> None:
    tls = {**MUTUAL, "client_names": ["spiffe://prod/ns/shop"]}
    listener = {"address": "10.0.0.1:1", "services": ["validate"], "tls": tls}
    shown = show(folder.load(configuration(listeners=[{**listener, "caller_token": CALLERS}])))
    assert "spiffe://prod/ns/shop" in shown
    assert "PRIVATE KEY" not in shown
    assert show(folder.load(shown)) == shown
