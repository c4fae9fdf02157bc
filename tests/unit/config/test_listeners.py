from typing import Any

import pytest

from tests.unit.config.folder import Folder, configuration, signer


def listener(**settings: Any) -> dict[str, Any]:
    return {"address": "unix:a.sock", "services": ["validate"], **settings}


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        pytest.param("127.0.0.1:9191", True, id="IPv4 loopback"),
        pytest.param("127.8.9.10:0", True, id="another IPv4 loopback, any port"),
        pytest.param("[::1]:9191", True, id="IPv6 loopback"),
        pytest.param("localhost:65535", True, id="localhost, the last port"),
        pytest.param("0.0.0.0:9191", False, id="every IPv4 interface"),
        pytest.param("[::]:9191", False, id="every IPv6 interface"),
        pytest.param("sidecar.example.com:9191", False, id="a name"),
        pytest.param("127.example.com:9191", False, id="a name that starts like loopback"),
    ],
)
def test_a_tcp_address_is_kept_as_written(folder: Folder, address: str, is_loopback: bool) -> None:
    found = folder.load(configuration(listeners=[listener(address=address)])).settings
    assert str(found.listeners[0].address) == address
    assert found.listeners[0].address.is_loopback is is_loopback
    assert not found.listeners[0].address.is_unix


@pytest.mark.parametrize(
    ("written", "path"),
    [
        pytest.param("unix:/run/a.sock", "/run/a.sock", id="absolute"),
        pytest.param("unix:///run/a.sock", "/run/a.sock", id="absolute, as a URL"),
        pytest.param("unix:a.sock", "{}/a.sock", id="relative to the file"),
        pytest.param("unix:./x/../a.sock", "{}/a.sock", id="relative in a roundabout way"),
    ],
)
def test_the_path_of_a_unix_socket_is_absolute(folder: Folder, written: str, path: str) -> None:
    found = folder.load(configuration(listeners=[listener(address=written)])).settings
    assert found.listeners[0].address.path == path.format(folder.path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        pytest.param(
            "localhost",
            'must be unix:PATH or HOST:PORT, with a port of 0 to 65535; it is the text "localhost"',
            id="no port",
        ),
        pytest.param(
            "localhost:65536",
            "must be unix:PATH or HOST:PORT, with a port of 0 to 65535; it is the text "
            '"localhost:65536"',
            id="a port too many",
        ),
        pytest.param(
            ":9191",
            "must have a host name or IP address before the port; for every interface write "
            "0.0.0.0 or [::]",
            id="no host",
        ),
        pytest.param(
            "*:9191",
            "must have a host name or IP address before the port; for every interface write "
            "0.0.0.0 or [::]",
            id="a star",
        ),
        pytest.param(
            "::1:9191",
            'must have an IPv6 address in brackets, as [::1]:9191; it is the text "::1:9191"',
            id="IPv6 without brackets",
        ),
        pytest.param(
            "127.0.0.256:1",
            'has no valid IP address before the port; it is the text "127.0.0.256:1"',
            id="no IPv4",
        ),
        pytest.param(
            "[::x]:1",
            'has no valid IP address before the port; it is the text "[::x]:1"',
            id="no IPv6",
        ),
        pytest.param(
            "unix://run/a.sock",
            "must be unix:run/a.sock, which is beside this file, or unix:/run/a.sock; gRPC's "
            "libraries read two slashes in different ways",
            id="two slashes",
        ),
        pytest.param(
            "unix:",
            "must name a file after unix:, such as unix:/run/jwt-sidecar.sock",
            id="no path",
        ),
        pytest.param(
            "unix:/" + "a" * 107,
            "the path of a Unix socket may have 107 bytes; "
            f"/{'a' * 107} has 108: choose a shorter one",
            id="a path of 108 bytes",
        ),
        pytest.param(9191, "must be text that is not empty; it is the number 9191", id="a number"),
    ],
)
def test_other_addresses_are_refused(folder: Folder, address: object, message: str) -> None:
    assert folder.problems(configuration(listeners=[listener(address=address)])) == [
        f"jwt-sidecar.yaml:1: listeners[0].address: {message}"
    ]


def test_the_path_of_a_unix_socket_may_have_107_bytes(folder: Folder) -> None:
    address = "unix:/" + "a" * 106
    assert folder.problems(configuration(listeners=[listener(address=address)])) == []


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param({"mode": "0600"}, [], id="a mode"),
        pytest.param({"mode": "660"}, [], id="a mode without a zero"),
        pytest.param(
            {"mode": "0990"},
            [
                'mode: must be the permissions in octal and in quotes, such as "0660"; it is the '
                'text "0990"'
            ],
            id="a mode that is not octal",
        ),
        pytest.param(
            {"mode": 432},
            ["mode: must be text; it is the number 432: put it in quotes"],
            id="a mode without quotes",
        ),
        pytest.param(
            {"address": "localhost:1", "mode": "0660"},
            ["mode: has a meaning only with a Unix socket; remove it"],
            id="a mode of a TCP address",
        ),
        pytest.param(
            {"services": []},
            [],
            id="no service: health checking alone",
        ),
        pytest.param(
            {"services": ["validate", "validate"]},
            ['services: has "validate" twice; remove one'],
            id="a service twice",
        ),
        pytest.param(
            {"services": ["validate", "ext_auth"]},
            [
                "services[1]: must be validate, ext_authz, issue or admin; it is the text "
                '"ext_auth": did you mean "ext_authz"?'
            ],
            id="a service that there is not",
        ),
        pytest.param(
            {"services": "validate"},
            ["services: must be a list; it is text"],
            id="a service that is no list",
        ),
        pytest.param(
            {"reflection": "yes"},
            ['reflection: must be true or false; it is the text "yes"'],
            id="yes is not true",
        ),
        pytest.param(
            {"transport": None},
            ["transport: must be auto, grpcio or native; it is empty"],
            id="an empty setting",
        ),
        pytest.param(
            {"backlog": 5},
            [
                "backlog: unknown key; known are address, caller_token, mode, reflection, "
                "services, tls, transport, unauthenticated"
            ],
            id="a setting that there is not",
        ),
    ],
)
def test_settings_of_a_listener(
    folder: Folder, settings: dict[str, Any], messages: list[str]
) -> None:
    assert folder.problems(configuration(listeners=[listener(**settings)])) == [
        f"jwt-sidecar.yaml:1: listeners[0].{message}" for message in messages
    ]


@pytest.mark.parametrize(
    ("settings", "is_refused"),
    [
        pytest.param({"address": "unix:a.sock"}, False, id="on a Unix socket"),
        pytest.param(
            {"address": "127.0.0.1:1", "unauthenticated": True}, False, id="on loopback, said so"
        ),
        pytest.param(
            {"address": "[::1]:1", "unauthenticated": True}, False, id="on IPv6 loopback, said so"
        ),
        pytest.param({"address": "127.0.0.1:1"}, True, id="on loopback"),
        pytest.param(
            {"address": "0.0.0.0:1", "unauthenticated": True}, True, id="on every interface"
        ),
        pytest.param({"address": "10.0.0.1:1", "unauthenticated": True}, True, id="on a network"),
    ],
)
def test_issuing_is_not_for_everybody(
    folder: Folder, settings: dict[str, Any], is_refused: bool
) -> None:
    listeners = [{"services": ["issue"], **settings}]
    problems = folder.problems(configuration(listeners=listeners, signers=[signer()]))
    assert bool(problems) is is_refused
    assert all("listeners[0].services: issue would let" in one for one in problems)


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [("127.0.0.1:1", False), ("unix:http.sock", False), ("0.0.0.0:1", True), ("192.0.2.1:1", True)],
)
def test_not_everybody_may_introspect(folder: Folder, address: str, is_refused: bool) -> None:
    http = {"address": address, "serve": ["introspect"]}
    problems = folder.problems(configuration(http=http))
    assert bool(problems) is is_refused
    assert all("http.serve: introspect would tell anyone" in one for one in problems)


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        pytest.param("unix:a.sock", "unix:./a.sock", True, id="a socket written in two ways"),
        pytest.param("localhost:1", "localhost:1", True, id="a port"),
        pytest.param("localhost:1", "localhost:2", False, id="two ports"),
        pytest.param("localhost:0", "localhost:0", False, id="any port twice"),
    ],
)
def test_an_address_is_listened_on_once(
    folder: Folder, first: str, second: str, is_taken: bool
) -> None:
    both = configuration(listeners=[listener(address=first), listener(address=second)])
    http = configuration(listeners=[listener(address=first)], http={"address": second})
    for one, place in ((both, "listeners[1].address"), (http, "http.address")):
        problems = folder.problems(one)
        assert bool(problems) is is_taken
        assert all(f"{place}: address " in problem for problem in problems)


@pytest.mark.parametrize(
    ("sections", "messages"),
    [
        pytest.param({"listeners": None}, ["listeners: is missing"], id="no listeners"),
        pytest.param(
            {"listeners": []},
            ["listeners: must have at least one entry; it is empty"],
            id="an empty list of listeners",
        ),
        pytest.param(
            {"issuers": None},
            [
                "listeners[0].services: would accept no token: add an issuer, a consumer or a "
                "signer with accept: true"
            ],
            id="validate with nobody to accept",
        ),
        pytest.param(
            {"issuers": None, "signers": [signer()]},
            [
                "listeners[0].services: would accept no token: add an issuer, a consumer or a "
                "signer with accept: true"
            ],
            id="validate with a signer that is not accepted",
        ),
        pytest.param(
            {"issuers": None, "signers": [signer(accept=True)]},
            [],
            id="validate with a signer that is accepted",
        ),
        pytest.param(
            {"listeners": [listener(services=["issue"])]},
            [
                "listeners[0].services: issue needs something to sign with: add a signer or a "
                "consumer"
            ],
            id="issue with nothing to sign with",
        ),
        pytest.param(
            {"authorization": {}},
            [
                "authorization: would be ignored, as nothing serves ext_authz or check; add "
                "ext_authz to the services of a listener or check to http.serve, or remove it"
            ],
            id="authorization that nobody asks for",
        ),
        pytest.param(
            {"authorization": {}, "http": {"address": "localhost:1", "serve": ["check"]}},
            [],
            id="authorization that HTTP asks for",
        ),
        pytest.param(
            {
                "issuers": None,
                "signers": [signer()],
                "listeners": [listener(services=["issue"])],
                "http": {"address": "localhost:1", "serve": ["check"]},
            },
            [
                "http.serve: check would accept no token: add an issuer, a consumer or a signer "
                "with accept: true"
            ],
            id="check with a signer that is not accepted",
        ),
        pytest.param(
            {"authorization": None, "http": {"address": "localhost:1", "serve": ["console"]}},
            [
                "http.serve[0]: must be health, metrics, jwks, check or introspect; it is the text "
                '"console"'
            ],
            id="an HTTP page that there is not yet",
        ),
    ],
)
def test_a_part_needs_another(
    folder: Folder, sections: dict[str, Any], messages: list[str]
) -> None:
    assert folder.problems(configuration(**sections)) == [
        f"jwt-sidecar.yaml:1: {message}" for message in messages
    ]
