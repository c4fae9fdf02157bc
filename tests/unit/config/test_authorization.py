from typing import Any

import pytest

from sidecar.authorization.denial import Details
from sidecar.config.authorization import Authorization, ForwardedClaim
from sidecar.config.policy import policies_of
from tests.unit.config.folder import Folder, configuration

LISTENERS = [{"address": "unix:a.sock", "services": ["ext_authz"]}]


def authorized(**settings: Any) -> dict[str, Any]:
    return configuration(listeners=LISTENERS, authorization=settings)


def read(folder: Folder, **settings: Any) -> Authorization:
    found = folder.load(authorized(**settings)).settings.authorization
    assert found is not None
    return found


def test_without_settings_the_token_is_a_bearer_token(folder: Folder) -> None:
    found = read(folder)
    (only,) = found.token_from
    assert (only.header, only.prefix, only.query, only.cookie) == (
        "authorization",
        "Bearer ",
        None,
        None,
    )
    assert (found.denied.realm, found.denied.body) == ("jwt-sidecar", "json")
    assert found.dynamic_metadata
    assert found.forward.remove_token


def test_header_names_are_in_lower_case(folder: Folder) -> None:
    found = read(
        folder,
        token_from=[{"header": "X-Token"}],
        forward={
            "headers": {"X-Subject": "sub"},
            "payload_header": "X-Payload",
            "label_headers": {"X-Plan": "plan"},
        },
    )
    assert found.token_from[0].header == "x-token"
    assert found.token_from[0].prefix == ""
    assert found.forward.headers == {"x-subject": ForwardedClaim(claim="sub")}
    assert found.forward.payload_header == "x-payload"
    assert found.forward.label_headers == {"x-plan": "plan"}


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param(
            {"token_from": [{"header": "a"}, {"query": "b"}, {"cookie": "c"}]}, [], id="every place"
        ),
        pytest.param(
            {"token_from": []},
            ["token_from: must have at least one entry; it is empty"],
            id="nowhere",
        ),
        pytest.param(
            {"token_from": [{"header": "a", "cookie": "b"}]},
            ["token_from[0]: needs exactly one of header, query, cookie; it has header and cookie"],
            id="two places in one",
        ),
        pytest.param(
            {"token_from": [{"query": "a", "prefix": "Bearer "}]},
            ["token_from[0].prefix: has a meaning only with header; remove it"],
            id="a prefix in a query",
        ),
        pytest.param(
            {"token_from": [{"header": "x token"}]},
            [
                "token_from[0].header: must be the name of a header (RFC 9110, section 5.1); it "
                'is the text "x token"'
            ],
            id="a header with a space",
        ),
        pytest.param(
            {"token_from": [{"cookie": "a;b"}]},
            ['token_from[0].cookie: must be the name of a cookie (RFC 6265); it is the text "a;b"'],
            id="a cookie with a semicolon",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": "a"}, "payload_header": "X-A"}},
            ["forward.payload_header: sets x-a, which headers sets already; choose another header"],
            id="a header for two things",
        ),
        pytest.param(
            {"forward": {"label_headers": {"x-a": "a"}, "consumer_header": "x-a"}},
            [
                "forward.label_headers.x-a: sets x-a, which consumer_header sets already; choose "
                "another header"
            ],
            id="a header for the consumer and a label",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": "a", "X-A": "b"}}},
            ["forward.headers: has header x-a twice: case makes no difference; remove one"],
            id="a header twice",
        ),
        pytest.param(
            {"forward": {"headers": {"x-user-id": "a", "x_user.id": "b"}}},
            [
                "forward.headers: has headers x-user-id and x_user.id, which upstreams may take "
                "for one, as they differ only in punctuation; remove one"
            ],
            id="a header in two spellings",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": "a"}, "payload_header": "x_a"}},
            [
                "forward.payload_header: sets x_a and headers sets x-a, which upstreams may take "
                "for one, as they differ only in punctuation; choose another header"
            ],
            id="a header for two things in two spellings",
        ),
        *(
            pytest.param(
                {"token_from": sources, "forward": {"headers": {"x_token": "a"}}},
                [
                    "forward.headers.x_token: sets x_token and token_from has x-token, which "
                    "upstreams may take for one, as they differ only in punctuation; choose "
                    "another header"
                ],
                id=f"a header that a token may stand in, in another spelling: {len(sources)}",
            )
            for sources in (
                [{"header": "x-token"}],
                [{"header": "x-token"}, {"header": "x_token"}],
            )
        ),
        pytest.param(
            {"forward": {"headers": {"x a": "a"}}},
            [
                'forward.headers["x a"]: must be the name of a header (RFC 9110, section 5.1); it '
                'is the text "x a"'
            ],
            id="a header to set with a space",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": ""}}},
            [
                "forward.headers.x-a.claim: must be text that is not empty, without control "
                'characters; it is the text ""'
            ],
            id="a claim without a path",
        ),
        *(
            pytest.param(
                {"forward": {"payload_header": name}},
                [
                    f"forward.payload_header: sets {name.lower()}, which steers the proxy or the "
                    "connection and never comes from a token; choose another header"
                ],
                id=f"the header {name}",
            )
            for name in (
                "Authorization",
                "host",
                "content-length",
                "transfer-encoding",
                "connection",
                "x-envoy-original-path",
                "x_envoy_original_path",
                "content_length",
            )
        ),
        pytest.param(
            {"forward": {"payload_header": ":path"}},
            [
                "forward.payload_header: must be the name of a header (RFC 9110, section 5.1); it "
                'is the text ":path"'
            ],
            id="a pseudo-header",
        ),
        *(
            pytest.param(
                {"denied": {"realm": realm}},
                [
                    "denied.realm: must be printable ASCII without quotes and backslashes; it is "
                    f"the text {shown}"
                ],
                id=f"a realm with {what}",
            )
            for realm, shown, what in (
                ('a"b', '"a\\"b"', "a quote"),
                ("a\\b", '"a\\\\b"', "a backslash"),
                ("a\nb", '"a\\nb"', "a line end inside"),
                ("a\n", '"a\\n"', "a line end after it"),
                ("", '""', "nothing"),
            )
        ),
        pytest.param(
            {"denied": {"details": "some"}},
            ['denied.details: must be full, reason or none; it is the text "some"'],
            id="details of another kind",
        ),
        pytest.param(
            {"denied": {"body": "html"}},
            ['denied.body: must be json or none; it is the text "html"'],
            id="a body that there is not",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": {"claim": "a", "keys": True}}}},
            [],
            id="the names of an object",
        ),
        pytest.param(
            {"forward": {"headers": {"x-a": {"keys": True}}}},
            ["forward.headers.x-a.claim: is missing"],
            id="a header without a claim",
        ),
        pytest.param({"on_outage": "error"}, [], id="an outage is Envoy's to decide"),
        pytest.param(
            {"on_outage": "allow"},
            ['on_outage: must be deny or error; it is the text "allow"'],
            id="what nobody should do in an outage",
        ),
    ],
)
def test_settings_of_authorization(
    folder: Folder, settings: dict[str, Any], messages: list[str]
) -> None:
    assert folder.problems(authorized(**settings)) == [
        f"jwt-sidecar.yaml:1: authorization.{message}" for message in messages
    ]


@pytest.mark.parametrize(
    ("denied", "local", "network"),
    [
        pytest.param({}, Details.FULL, Details.REASON, id="default"),
        pytest.param({"details": "full"}, Details.FULL, Details.FULL, id="full"),
        pytest.param({"details": "reason"}, Details.REASON, Details.REASON, id="reason"),
        pytest.param({"details": "none"}, Details.NONE, Details.NONE, id="none"),
    ],
)
def test_what_denials_say_depends_on_the_listener_unless_it_is_set(
    folder: Folder, denied: dict[str, str], local: Details, network: Details
) -> None:
    policies = policies_of(folder.load(authorized(denied=denied)).settings)
    assert policies.at(True).details is local
    assert policies.at(False).details is network


def test_strangers_are_not_told_everything_without_the_section_either(folder: Folder) -> None:
    policies = policies_of(folder.load(configuration(listeners=LISTENERS)).settings)
    assert (policies.local.details, policies.network.details) == (Details.FULL, Details.REASON)
