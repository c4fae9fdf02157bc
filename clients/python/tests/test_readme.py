"""The code of README.md runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jwt_sidecar_client import Client

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
FIRST, FASTAPI, ERRORS, GRPC, LAMBDA, OVERRIDE = BLOCKS


@pytest.fixture(autouse=True)
def address(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SIDECAR_ADDRESS", real)


@pytest.fixture
def shown(real_client: Client) -> str:
    return real_client.issue(subject="alice", scopes=["orders:read"]).token


def run(block: str, **names: Any) -> dict[str, Any]:
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 # our own page
    return names


def test_the_first_lines(shown: str) -> None:
    assert run(FIRST, shown=shown)["token"].subject == "alice"


def test_fastapi(shown: str) -> None:
    names = run(FASTAPI)
    browser = TestClient(names["app"])
    assert browser.get("/orders").status_code == 401
    answer = browser.get("/orders", headers={"Authorization": f"Bearer {shown}"})
    assert answer.json() == "the orders of alice"
    run(OVERRIDE, **names)
    assert browser.get("/orders").json() == "the orders of alice"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    run(ERRORS)
    assert capsys.readouterr().out.startswith("TOKEN_MALFORMED 401 Bearer realm=")


def test_grpc() -> None:
    run(GRPC)["server"].stop(None)


def test_lambda(shown: str) -> None:
    answer = run(LAMBDA)["handler"](
        {"authorizationToken": f"Bearer {shown}", "methodArn": "arn"}, None
    )
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
