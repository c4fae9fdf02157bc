"""The page of attacks: the rows that the tests run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.unit.token import test_attacks as on_keys
from tests.unit.token import test_attacks_on_form as on_form

SECTIONS: Final[Mapping[str, list[Any]]] = {
    "Algorithms": on_keys.ON_ALGORITHMS,
    "Public keys taken for secrets, and weak secrets": on_keys.ON_SECRETS,
    "Keys, and whose they are": on_keys.ON_KEYS,
    "Signatures": on_keys.ON_SIGNATURES,
    "Form": on_form.ON_FORM,
    "Header": on_form.ON_THE_HEADER,
    "JSON": on_form.ON_JSON,
    "Claims": on_form.ON_CLAIMS,
}
NAMED: Final = {
    "Envoy": "https://github.com/envoyproxy/envoy/tree/main/source/common/jwt",
    "PortSwigger": "https://portswigger.net/web-security/jwt",
    "Wycheproof": "https://github.com/C2SP/wycheproof",
}
"""Sources that have no number."""
_NUMBERED: Final = {
    r"CVE-\d{4}-\d+": "https://www.cve.org/CVERecord?id={0}",
    r"CWE-(\d+)": "https://cwe.mitre.org/data/definitions/{1}.html",
    r"RFC (\d+), ([\d.]+)": "https://www.rfc-editor.org/rfc/rfc{1}#section-{2}",
    r"RFC (\d+), ([A-Z])": "https://www.rfc-editor.org/rfc/rfc{1}#appendix-{2}",
}


@dataclass(frozen=True)
class Defence:
    """An attack on more than a token, the right answer to it, and a test that holds the answer."""

    attack: str
    answer: str
    shown_by: str
    """Path and name of the test."""


_PATHS: Final = "tests/integration/test_path_readings.py"
_BY_RULES: Final = "tests/unit/authorization/test_authorizing_by_rules.py"
DEFENCES: Final[Mapping[str, tuple[Defence, ...]]] = {
    "Paths and methods": (
        Defence(
            "dot segments with parameters or encoded, beside empty segments: `/admin/..;/x`, "
            "`/%2e%2e;/x`, `/x//../admin`",
            "RULE_DENIED if rules exist",
            "tests/unit/authorization/test_path.py:test_no_client_needs_dot_segments_in_disguise",
        ),
        Defence(
            "encoded `/`, `\\`, `;`, `?`, `#`, `%` and NUL, double encoding, overlong UTF-8, "
            "backslashes, a space at the end of a segment",
            "RULE_DENIED if rules exist",
            "tests/unit/authorization/test_path.py:"
            "test_what_servers_disagree_on_and_nobody_needs_is_refused",
        ),
        Defence(
            "a path that servers route differently: `/admin;x/users`, `//admin`, `/x/../admin`, "
            "`/%61dmin`, `/ADMIN`, `/admin/`",
            "RULE_DENIED if its readings fall under different rules",
            f"{_BY_RULES}:test_a_path_that_leads_to_two_rules_is_denied",
        ),
        Defence(
            "thousands of such targets through Envoy and nginx, to fifteen routers in Go, Node, "
            "Python and Java",
            "no handler runs unless its rule permits the caller",
            f"{_PATHS}:test_no_handler_runs_unless_its_rule_permits_the_caller",
        ),
        Defence(
            "such a path if a route of Envoy names the rule",
            "RULE_DENIED: Envoy chose the route by its own reading",
            f"{_BY_RULES}:test_a_route_that_names_a_rule_chose_by_a_path_of_one_reading",
        ),
        Defence(
            "such a path below one that is open to everybody: `/public//x`",
            "RULE_DENIED",
            f"{_BY_RULES}:test_only_a_path_of_one_reading_is_let_in_without_a_token",
        ),
        Defence(
            "`post` for `POST`, which some servers take for the same method",
            "RULE_DENIED if rules exist",
            "tests/integration/test_proxies.py:"
            "test_a_method_over_http2_falls_under_the_rule_of_its_capitals",
        ),
        Defence(
            "`HEAD` in place of `GET`, which runs the same handler",
            "it falls under the rule for `GET`",
            "tests/unit/authorization/test_rules.py:test_what_a_rule_matches",
        ),
        Defence(
            "path parameters before the ready-made Envoy: `/admin;x/users`, `/reports;x/1`",
            "the sidecar's rules decide, and RBAC goes by the rule's name",
            "tests/integration/test_deployments.py:"
            "test_no_spelling_of_a_path_gets_around_a_rule_or_rbac",
        ),
        Defence(
            "`X-Original-URL`, `X-Rewrite-URL`, `X-HTTP-Method-Override` and their kin",
            "the files in deploy/ remove them",
            "tests/integration/test_deployments.py:"
            "test_envoys_upstream_gets_no_word_of_the_client_on_path_and_method",
        ),
    ),
    "Rules that protect nothing": (
        Defence(
            "a rule that no request reaches, such as one behind `match: {}`",
            "an error of the configuration that names the rule in front",
            "tests/unit/config/test_rules.py:test_a_rule_that_is_never_reached_is_an_error",
        ),
        Defence(
            '`path: "/admin/*"`, which matches only itself',
            "an error of the configuration that names the remedy",
            "tests/unit/config/test_rules.py:test_what_is_wrong_with_a_rule",
        ),
        Defence(
            "`/publicity` below `path_prefix: /public`",
            "it does not match: prefixes are whole segments",
            "tests/unit/authorization/test_rules.py:test_what_a_rule_matches",
        ),
    ),
    "Identity": (
        Defence(
            "identity headers in other spellings, for upstreams that fold names: "
            "`X.Jwt.Roles`, `x~jwt~roles`",
            "removed; at /check, where the proxy can't be told to, 400",
            "tests/integration/test_cgi_upstream.py:"
            "test_a_client_sets_no_header_under_another_spelling",
        ),
        Defence(
            "a consumer that grants itself scopes, roles, `sub` or an audience",
            "only what its record grants or allows counts",
            "tests/integration/test_consumer_grants.py:"
            "test_rules_and_forwarded_headers_go_by_the_record",
        ),
    ),
    "Time and memory": (
        Defence(
            "a clock that jumps ahead and back, so that used tokens and proofs, and revoked "
            "tokens, are forgotten",
            "what refuses is forgotten by a clock that never outruns monotonic time",
            "tests/integration/test_clock_jumps.py:"
            "test_in_a_process_whose_clock_jumps_all_stays_used",
        ),
        Defence(
            "a restart while the clock is ahead",
            "the same: the state of that clock is stored",
            "tests/integration/test_clock_jumps.py:"
            "test_over_a_restart_while_the_clock_is_ahead_all_stays_used",
        ),
        Defence(
            "one client that fills the memory of used DPoP proofs for everybody",
            "it is refused first, and no live proof is forgotten",
            "tests/unit/token/test_replay.py:"
            "test_the_next_key_finds_room_however_much_the_others_send",
        ),
    ),
    "Keys": (
        Defence(
            "RS256 with a key for RSASSA-PSS alone",
            "ALGORITHM_NOT_ALLOWED or KEY_NOT_FOUND, and such a key signs no RS256",
            "tests/unit/token/test_restriction.py:"
            "test_a_public_key_is_for_what_its_oid_and_parameters_allow",
        ),
        Defence(
            "a key server whose certificate has a common name and no subjectAltName",
            "no keys are fetched from it",
            "tests/unit/keys/test_download_tls.py:test_the_common_name_of_a_certificate_does_not_count",
        ),
    ),
    "Answers": (
        Defence(
            "a valid token that lacks what a rule requires, answered 401: clients refresh it "
            "for ever",
            "403 with `insufficient_scope` or RULE_DENIED",
            "tests/unit/token/test_rule.py:test_what_a_rule_requires_is_denied_by_name",
        ),
        Defence(
            "a forged token, to read configured issuers and conditions in the refusal",
            "with `denied.details: reason`, the default on networks, one sentence for everybody",
            "tests/integration/test_denial_details.py:"
            "test_a_client_is_told_no_more_than_the_setting_allows",
        ),
        Defence(
            "a good DPoP proof at /check, which was used up and refused with 400",
            "it passes once, as through Envoy; what would be refused is found before anything is "
            "used up",
            "tests/integration/test_proofs_at_proxies.py:test_a_proof_passes_once",
        ),
    ),
}

_HEAD: Final = """\
<!-- Written by `make docs` from the tables of attacks in tests/unit/token: change those. -->

# Attacks

What is known to have fooled a library or a gateway somewhere, or what a specification warns of, and
the [reason](reasons.md) for which it is refused here. Every line is a row of a test, {count} of
them in all; [security.md](security.md) says which code stands against it. Sources without a number:
what Envoy's own parser lets pass, and the collections of PortSwigger and Wycheproof.
"""
_DEFENCES_HEAD: Final = """
## Beyond the token

What got past rules, proxies or the memory of this sidecar or of others, the right answer, and the
test that holds it.
"""


def page() -> str:
    """The whole of docs/attacks.md."""
    count = sum(len(rows) for rows in SECTIONS.values())
    return _HEAD.format(count=count) + "\n".join((*_lines(), *_defences()))


def source(known_from: str) -> str:
    """A link to where an attack is known from; raises ValueError where that is no known form."""
    if known_from in NAMED:
        return f"[{known_from}]({NAMED[known_from]})"
    for form, url in _NUMBERED.items():
        if match := re.fullmatch(form, known_from):
            return f"[{known_from}]({url.format(match[0], *match.groups())})"
    raise ValueError(f"{known_from} is no CVE, CWE or section, and not named in docs/attacks.py")


def _lines() -> Iterator[str]:
    for title, rows in SECTIONS.items():
        yield from (
            "",
            f"## {title}",
            "",
            "| attack | known from | reason |",
            "| --- | --- | --- |",
        )
        for row in rows:
            one = row.values[0]
            anchor = f"{one.reason.name.lower()}-{one.reason.value}"
            link = f"[{one.reason.name}](reasons.md#{anchor})"
            yield f"| {one.name} | {source(one.known_from)} | {link} |"
    yield ""


def _defences() -> Iterator[str]:
    yield _DEFENCES_HEAD.strip()
    for title, rows in DEFENCES.items():
        yield from (
            "",
            f"### {title}",
            "",
            "| attack | right answer | shown by |",
            "| --- | --- | --- |",
        )
        for row in rows:
            yield f"| {row.attack} | {row.answer} | `{row.shown_by}` |"
    yield ""
