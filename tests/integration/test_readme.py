"""The README says what happens: its commands are run as they are written."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.demo.demo import ENVOY
from sidecar.config.load import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
QUICK_START = ROOT / "deploy/quickstart/jwt-sidecar.yaml"
GRPCURL = "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [one for one in blocks("sh") if not one.startswith("make ")]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def _quick_start() -> Iterator[None]:
    command = (sys.executable, "-m", "sidecar", "serve", "--config", str(QUICK_START))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        if " is ready " not in child.stdout.readline():
            pytest.fail("the quick start does not start: if `make run` is running, stop it")
        yield
        child.terminate()
    assert child.returncode == 0


@pytest.mark.usefixtures("_quick_start")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.splitlines()[-1].strip()[:40])
def test_a_command_does_what_the_text_after_it_says(command: str) -> None:
    if "grpcurl" in command and not shutil.which("grpcurl"):
        pytest.skip(f"grpcurl is not here; get it with: {GRPCURL}")
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    shown = re.search(re.escape(command) + r"```\n\n```text\n(.*?)```", README, re.DOTALL)
    said = shown.group(1) if shown else ""
    assert said in done.stdout, done.stderr
    assert done.returncode == (1 if re.search("refused|FAILED", said) else 0), done.stderr


@pytest.mark.usefixtures("_quick_start")
def test_the_call_from_python_works() -> None:
    (program,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True alice\n", done.stderr


def test_the_envoy_filter_is_the_demo_s() -> None:
    (shown,) = next(yaml.safe_load(one) for one in blocks("yaml") if "ext_authz.v3" in one)
    demo = yaml.safe_load(ENVOY)["static_resources"]["listeners"][0]
    filters = demo["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    assert shown == filters[0]


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    (text,) = (one for one in blocks("yaml") if one.startswith("listeners:"))
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(text)
    assert load(path, {}).settings.issuers[0].keys.discovery


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


async def test_the_demo_shows_what_passes() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "deploy/demo/demo.py", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert child.returncode == 0
    shown = re.findall(r"^(\S.*?) +(\d{3})  (.*)$", out.decode(), re.MULTILINE)
    assert [(what, status, outcome.split(":")[0]) for what, status, outcome in shown] == [
        ("no token", "401", "REASON_TOKEN_MISSING"),
        ("a good token", "200", "at the upstream"),
        ("an expired token", "401", "REASON_EXPIRED"),
        ("a forged token", "401", "REASON_SIGNATURE_INVALID"),
    ]
    assert "x-jwt-subject: alice" in out.decode()
