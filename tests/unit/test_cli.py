"""What a mistake in a command line is answered with: never with what may be a token or a secret."""

import gc
from collections.abc import Iterator

import pytest

from sidecar.cli import WRONG_USAGE, main

TOKEN = "eyJhbGciOiJFUzI1NiJ9.e30.marker"


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    """A command has no garbage collected; the tests after it do."""
    yield
    gc.enable()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param([TOKEN], "invalid choice (choose from", id="for a command"),
        pytest.param(["consumers", TOKEN], "invalid choice (choose from", id="for an action"),
        pytest.param([f"a (choose from {TOKEN}"], "invalid choice (choose from", id="odd"),
        pytest.param(["validate", TOKEN, TOKEN], "more words came", id="twice"),
        pytest.param(["validate", "Bearer", TOKEN], "without Bearer", id="with its scheme"),
        pytest.param(["validate", f"-{TOKEN}"], "more words came", id="behind a dash"),
        pytest.param(["validate", "-", f"--{TOKEN}"], "more words came", id="behind two"),
        pytest.param(["validate", f"--token={TOKEN}"], "option --token", id="of no option"),
        pytest.param(["validate", f"-t={TOKEN}"], "option -t", id="of no short option"),
        pytest.param(["validate", f"--json={TOKEN}"], "--json: it takes no value", id="of a flag"),
        pytest.param(["validate", f"--a={TOKEN}"], "ambiguous option: --a could", id="of two"),
        pytest.param(
            ["validate", f"--a=x could match {TOKEN}"], "ambiguous option: --a could", id="odder"
        ),
        pytest.param(
            ["consumers", "update", "a", f"--no-disabled={TOKEN}"],
            "--disabled/--no-disabled: it takes no value",
            id="of a flag of two names",
        ),
        pytest.param(["serve", TOKEN], "serve takes its file by --config", id="for a file"),
    ],
)
def test_a_wrong_word_is_not_quoted(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, told in err, "marker" in err) == (WRONG_USAGE, "", True, False)


@pytest.mark.parametrize(
    "words",
    [
        ["issue", "--subject", "a", "--claim", TOKEN],
        ["issue", "--subject", "a", "--header", TOKEN],
        ["consumers", "create", "a", "--key", "k", "--algorithm", "HS256", "--label", TOKEN],
    ],
)
def test_a_pair_without_a_name_is_not_quoted(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--address", "unix:nowhere"]) == WRONG_USAGE
    assert capsys.readouterr().err == f"jwt-sidecar: {words[-2]}: it must be NAME=VALUE\n"
