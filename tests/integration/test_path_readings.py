"""However a proxy and an upstream read a path, no handler runs unless its own rule permits it.

Generated targets go through a real Envoy and a real nginx to upstreams in Go, Node, Python and
Java. This is a fixed sample; `make fuzz-paths` looks further.
"""

import itertools
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.paths.stage import CALLERS, PERMITTED, PROXIES, Answer, stage
from tests.paths.targets import ORDINARY, targets
from tests.paths.upstreams import UPSTREAMS

SEED = 15
SAMPLE = 600
SHOWN = 20

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # the first run compiles the upstreams
    pytest.mark.skipif(
        shutil.which("nginx") is None, reason="needs nginx (Debian and Ubuntu: apt install nginx)"
    ),
]


@dataclass(frozen=True)
class Answers:
    """All of them, and the upstreams that were there."""

    upstreams: frozenset[str]
    confusing: list[Answer]
    ordinary: Mapping[tuple[str, str, str], Answer]
    """By proxy, caller and target."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Answers]:
    async with stage(tmp_path_factory.mktemp("paths")) as running:
        confusing = await running.ask(itertools.islice(targets(SEED), SAMPLE))
        ordinary = await running.ask(one.encode() for one in ORDINARY)
    yield Answers(
        frozenset(one.name for one in running.upstreams),
        confusing,
        {(one.proxy, one.caller, one.target.decode()): one for one in ordinary},
    )


@pytest.mark.parametrize(
    "upstream",
    [
        pytest.param(
            one.name, id=one.name, marks=pytest.mark.skipif(bool(one.missing), reason=one.missing)
        )
        for one in UPSTREAMS
    ],
)
async def test_no_handler_runs_unless_its_rule_permits_the_caller(
    answers: Answers, upstream: str
) -> None:
    wrong = [
        answer.described(ran)
        for answer in answers.confusing
        for ran in answer.violations
        if ran.upstream == upstream
    ]
    assert not wrong, "\n".join(wrong[:SHOWN])


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("proxy", PROXIES)
async def test_ordinary_paths_reach_their_handlers(
    answers: Answers, proxy: str, caller: str
) -> None:
    reached = {
        target: {ran.upstream: ran.handler for ran in answers.ordinary[proxy, caller, target].ran}
        for target in ORDINARY
    }
    assert reached == {
        target: dict.fromkeys(answers.upstreams, handler) if caller in PERMITTED[handler] else {}
        for target, handler in ORDINARY.items()
    }
