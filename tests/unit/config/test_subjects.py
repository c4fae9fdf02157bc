from typing import Any

import pytest

from tests.unit.config.folder import KEYS, Folder, configuration, issuer, public_pem

SQL = {"url": "sqlite:users.db", "query": "SELECT 1 FROM users WHERE id = :sub"}


def problems(folder: Folder, *asked: str, **directory: Any) -> list[str]:
    """What is wrong where an issuer names these directories and one has these settings."""
    folder.write("ec.pub", public_pem(KEYS["ec"]))
    issuers = [issuer(subjects=name) for name in asked]
    found = folder.problems(
        configuration(issuers=issuers, subjects=[{"name": "users", **directory}])
    )
    return [one.removeprefix("jwt-sidecar.yaml:1: ") for one in found]


@pytest.mark.parametrize(
    ("directory", "messages"),
    [
        pytest.param({"sql": SQL}, [], id="a SQLite file"),
        pytest.param({"http": {"url": "http://u/{sub}"}}, [], id="a service"),
        pytest.param({"http": {"url": "http://u/?q={sub}"}}, [], id="a query parameter"),
        pytest.param(
            {},
            ["subjects[0]: needs exactly one of sql, http, file; it has none of them"],
            id="nothing to ask",
        ),
        pytest.param(
            {"http": {"url": "http://{sub}.example/"}},
            [
                "subjects[0].http.url: must have {sub} once, in its path or query, where the "
                "subject is to stand, such as https://users.internal/users/{sub}"
            ],
            id="the subject in the host",
        ),
        pytest.param(
            {"sql": {**SQL, "url": "postgresql://me:marker@db/x"}},
            [
                "subjects[0].sql.url: must be without password; put it into sql.password, as "
                "{env: NAME}"
            ],
            id="a password, which is not quoted",
        ),
        pytest.param(
            {"sql": {**SQL, "url": "postgresql://me@db/x?password=marker"}},
            [
                "subjects[0].sql.url: must be without password; put it into sql.password, as "
                "{env: NAME}"
            ],
            id="a password in the query",
        ),
        pytest.param(
            {"sql": {**SQL, "url": "postgresql+psycopg2://db/x"}},
            [
                "subjects[0].sql.url: names postgresql+psycopg2, which is no asynchronous driver; "
                "name one, as postgresql+asyncpg does"
            ],
            id="a driver that blocks",
        ),
        pytest.param(
            {"sql": {**SQL, "url": "mysql+aiomysql://db/x"}},
            ["subjects[0].sql.url: needs the driver aiomysql: pip install aiomysql"],
            id="a driver that is not installed",
        ),
        pytest.param(
            {"sql": {**SQL, "query": "SELECT 1"}},
            ["subjects[0].sql.query: must have the parameter :sub, for which the subject is put"],
            id="no parameter",
        ),
        pytest.param(
            {"sql": {**SQL, "query": "DELETE FROM users WHERE id = :sub"}},
            ["subjects[0].sql.query: must be a SELECT: nothing is ever written"],
            id="no SELECT",
        ),
        pytest.param(
            {"sql": {**SQL, "password": {"env": "SECRET"}}},
            ["subjects[0].sql.password: has a meaning only with the URL of a server; remove it"],
            id="a password of a file",
        ),
    ],
)
def test_what_is_wrong_with_a_directory(
    folder: Folder, directory: dict[str, Any], messages: list[str]
) -> None:
    assert problems(folder, "users", **directory) == messages


def test_a_name_that_nothing_has_and_a_directory_that_nobody_asks(folder: Folder) -> None:
    assert problems(folder, "user", sql=SQL) == [
        'issuers[0].subjects: no subject directory has the name "user"; did you mean "users"?',
        'subjects[0].name: nobody asks "users"; name it in an issuer\'s subjects, or remove it',
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"# nobody\n\n", "has no subject", id="no subject"),
        pytest.param(b"alice\n\xff\n", "not UTF-8 in line 2", id="not UTF-8"),
    ],
)
def test_a_file_of_no_use(folder: Folder, content: bytes, words: str) -> None:
    folder.write("users.txt", content)
    (problem,) = problems(folder, "users", file="users.txt")
    assert words in problem
