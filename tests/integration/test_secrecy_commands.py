"""What the command prints holds nothing secret, but a token that it was asked to print."""

from pathlib import Path

import pytest

from tests.secrecy.caller import know_issued
from tests.secrecy.provider import Provider, good
from tests.secrecy.seen import Seen
from tests.secrecy.serving import run, serving
from tests.secrecy.tokens import tokens
from tests.secrecy.world import world


@pytest.mark.timeout(180)  # thirty processes, one after the other
async def test_the_command_prints_no_secret(tmp_path: Path) -> None:
    async with Provider(good).serving() as url:
        one = world(tmp_path, url)
        seen = Seen(one.markers)
        shown = tokens(one)
        async with serving(one, seen):
            at = ("--address", one.address("native"))

            async def command(*words: str, stdin: str = "") -> tuple[int, str]:
                return await run(one, seen, *words, *at, stdin=stdin)

            who = ("--signer", "internal", "--subject", "alice")
            status, out = await command("issue", *who, "--refresh")
            assert status == 0
            token, refresh_token = out.split()
            know_issued(one.markers, "issued", token, refresh_token)
            status, out = await command("refresh", "-", stdin=refresh_token)
            assert status == 0
            know_issued(one.markers, "traded", *out.split())
            secret = one.secrets["secret of jack"]
            for name, wanted, words, stdin in (
                ("of lab", 0, ("validate", "-"), None),
                ("expired", 1, ("validate", "--json"), None),
                ("of lab", 0, ("explain", "-"), None),
                ("of a stranger", 1, ("explain", "--json"), None),
                ("of two parts", 1, ("decode",), None),
                ("expired", 0, ("decode",), None),
                ("of lab", 0, ("revoke", "-"), None),
                ("of a stranger", 2, ("revoke", "-"), None),
                ("used", 1, ("refresh", "-"), refresh_token),
                ("refresh", 1, ("validate", "-"), refresh_token),
                ("access", 1, ("refresh", "-"), token),
                ("known", 0, ("revoke", "--refresh-token", "-"), refresh_token),
                ("secret", 0, (*CREATE, "-"), secret),
                ("short", 2, (*CREATE, "-"), secret[:31]),
                ("key", 2, (*CREATE, str(one.path / "signer.pem")), ""),
                ("get", 0, ("consumers", "get", "kept"), ""),
                ("list", 0, ("consumers", "list", "--json"), ""),
                ("update", 0, ("consumers", "update", "kept", "--secret-file", "-"), secret),
                ("delete", 0, ("consumers", "delete", "kept"), ""),
                ("status", 0, ("status",), ""),
                ("status", 0, ("status", "--json"), ""),
            ):
                if words[0] == "decode":
                    status, _ = await run(one, seen, *words, stdin=shown[name])
                else:
                    status, _ = await command(*words, stdin=shown[name] if stdin is None else stdin)
                assert status == wanted, (name, words)
        for action in ("show", "check"):
            assert (await run(one, seen, "config", action, str(one.file)))[0] == 0
    seen.assert_clean()


CREATE = ("consumers", "create", "kept", "--key", "k", "--algorithm", "HS256", "--secret-file")
