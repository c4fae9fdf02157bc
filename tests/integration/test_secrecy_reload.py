"""A configuration that is wrong where a secret stands is told without it."""

import signal
from pathlib import Path

import pytest

from sidecar.v1 import admin_service_pb2 as admin
from tests.secrecy.broken import configurations
from tests.secrecy.caller import ADMIN
from tests.secrecy.provider import Provider, good
from tests.secrecy.seen import Seen
from tests.secrecy.serving import run, serving
from tests.secrecy.tokens import token
from tests.secrecy.world import world

STAYS = "the configuration is not reloaded, the old one stays"


@pytest.mark.timeout(180)  # a hundred reloads
@pytest.mark.parametrize("form", ["json", "text"])
async def test_a_broken_configuration_is_told_without_its_secrets(
    form: str, tmp_path: Path
) -> None:
    async with Provider(good).serving() as url:
        one = world(tmp_path, url, form=form)
        seen = Seen(one.markers)
        broken = configurations(one, token(one.markers, "a token in a broken configuration"))
        async with serving(one, seen) as process, process.callers() as callers:
            caller = callers[0]
            for name, text in broken.items():
                one.file.write_text(text)
                caller.codes.clear()
                await caller.call(name, f"{ADMIN}/ReloadConfig", admin.ReloadConfigRequest())
                assert caller.codes == {"INVALID_ARGUMENT"}, name
                await caller.call(name, f"{ADMIN}/GetStatus", admin.GetStatusRequest())
            told = process.printed().count(STAYS)
            process.child.send_signal(signal.SIGHUP)
            await process.until_printed(STAYS, told + 1)
            address = one.address("native")
            assert (await run(one, seen, "status", "--address", address))[0] == 0
            assert (await run(one, seen, "config", "check", str(one.file)))[0] == 2
        assert (await run(one, seen, "serve", "--config", str(one.file)))[0] == 2
    seen.assert_clean()
