import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sidecar.api.tls import REREAD, Certificates
from sidecar.config.surroundings import Surroundings
from sidecar.config.tls import Tls, Unfit
from tests.identities import EXPIRED, HERE, NOT_YET, Ca, Certified

CA, NEW_CA = Ca(), Ca()
OLD, NEW = CA.certify(*HERE), CA.certify(*HERE)


class Scene:
    """A listener's certificates in a directory, at a time that the test moves."""

    def __init__(self, directory: Path, shown: Certified = OLD) -> None:
        self.directory = directory
        self.now = 0.0
        self.write(shown)
        (directory / "ca.crt").write_bytes(CA.certificate)
        names = {
            "certificate_file": "tls.crt",
            "private_key_file": "tls.key",
            "client_ca_file": "ca.crt",
        }
        self.settings = Tls.model_validate(names, context=Surroundings(str(directory), {}))
        self.now = self.settings.identity(self.settings.files()).not_before + 60
        self.certificates = Certificates(self.settings, "here:1", lambda: self.now)

    def write(self, certified: Certified) -> None:
        certified.write(self.directory / "tls.crt", self.directory / "tls.key")

    def later(self, seconds: float = REREAD) -> Certified:
        """What is shown so much later."""
        self.now += seconds
        return self.shown

    @property
    def shown(self) -> Certified:
        files = self.certificates.current().files
        return Certified(files.certificate, files.private_key)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_files_that_do_not_change_are_the_same_object(scene: Scene) -> None:
    before = scene.certificates.current()
    scene.later()
    assert scene.certificates.current() is before


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [pytest.param(0.99, OLD, id="too early"), pytest.param(1.0, NEW, id="a second later")],
)
def test_the_files_are_looked_at_once_a_second(
    scene: Scene, seconds: float, shown: Certified
) -> None:
    scene.write(NEW)
    assert scene.later(seconds) == shown


def test_a_clock_that_was_set_back_hides_no_change(scene: Scene) -> None:
    scene.write(NEW)
    assert scene.later(-3600) == NEW


def test_a_change_of_the_same_size_and_time_is_noticed(scene: Scene) -> None:
    path = scene.directory / "ca.crt"
    before = path.stat()
    changed = CA.certificate.replace(b"\n-----END", b"\r-----END")
    path.write_bytes(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    scene.later()
    assert scene.certificates.current().files.client_ca == changed


def test_a_link_that_is_swapped_is_noticed(tmp_path: Path) -> None:
    for name, certified in (("1", OLD), ("2", NEW)):
        (tmp_path / name).mkdir()
        certified.write(tmp_path / name / "tls.crt", tmp_path / name / "tls.key")
    (tmp_path / "..data").symlink_to("1")
    for file in ("tls.crt", "tls.key"):
        (tmp_path / file).symlink_to(f"..data/{file}")
    scene = Scene(tmp_path)
    (tmp_path / "..next").symlink_to("2")
    (tmp_path / "..next").rename(tmp_path / "..data")
    assert scene.later() == NEW


def test_another_ca_for_callers_is_noticed(scene: Scene) -> None:
    (scene.directory / "ca.crt").write_bytes(NEW_CA.certificate)
    scene.later()
    assert scene.certificates.current().files.client_ca == NEW_CA.certificate


BROKEN: dict[str, Any] = {
    "the certificate alone is new": ("tls.crt", NEW.certificate, "is not the key"),
    "the key alone is new": ("tls.key", NEW.private_key, "is not the key"),
    "half a certificate": ("tls.crt", NEW.certificate[:200], "no PEM certificates"),
    "half a key": ("tls.key", NEW.private_key[:100], "no private key"),
    "an empty CA": ("ca.crt", b"", "no PEM certificates"),
    "no certificate": ("tls.crt", None, "can't be read"),
}


@pytest.mark.parametrize("case", list(BROKEN.values()), ids=list(BROKEN))
def test_files_that_do_not_fit_change_nothing_and_are_logged_once(
    scene: Scene, caplog: pytest.LogCaptureFixture, case: tuple[str, bytes | None, str]
) -> None:
    name, content, words = case
    path = scene.directory / name
    path.unlink() if content is None else path.write_bytes(content)
    before = scene.certificates.current()
    for _ in range(3):
        scene.later()
        assert scene.certificates.current() is before
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("here:1: the certificate in use stays: ")
    assert words in record.getMessage()
    assert "BEGIN" not in record.getMessage()


def test_when_the_other_half_arrives_the_pair_is_in_use(scene: Scene) -> None:
    (scene.directory / "tls.crt").write_bytes(NEW.certificate)
    assert scene.later() == OLD
    (scene.directory / "tls.key").write_bytes(NEW.private_key)
    assert scene.later() == NEW


def test_the_same_mistake_twice_is_logged_twice(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        (scene.directory / "tls.key").unlink()
        scene.later()
        scene.write(OLD)
        assert scene.later() == OLD
    assert [one.levelname for one in caplog.records] == ["WARNING", "WARNING"]


def test_a_new_certificate_is_logged_with_the_end_of_its_life(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.write(NEW)
    scene.later()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "here:1: new files for TLS are in use; valid until 20" in record.getMessage()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(0.0, "", id="in force"),
        pytest.param(timedelta(days=31).total_seconds(), "expired at 20", id="expired"),
        pytest.param(
            -timedelta(days=1).total_seconds(), "is not valid before 20", id="not valid yet"
        ),
    ],
)
def test_a_certificate_out_of_its_time_serves_and_is_logged_once(
    scene: Scene, caplog: pytest.LogCaptureFixture, seconds: float, words: str
) -> None:
    scene.later(seconds)
    assert scene.later() == OLD
    messages = [one.getMessage() for one in caplog.records]
    assert len(messages) == (1 if words else 0)
    assert all(words in one and "tls.crt" in one for one in messages)


@pytest.mark.parametrize(
    ("life", "seconds", "words"),
    [
        pytest.param(EXPIRED, 200_000, "expired at", id="expired"),
        pytest.param(NOT_YET, -120, "is not valid before", id="not valid yet"),
    ],
)
def test_one_that_begins_out_of_its_time_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, life: Any, seconds: float, words: str
) -> None:
    scene = Scene(tmp_path, CA.certify(*HERE, life=life))
    Certificates(scene.settings, "here:2", lambda: scene.now + seconds)
    (record,) = caplog.records
    assert words in record.getMessage()


def test_nothing_to_begin_with_is_an_error(scene: Scene) -> None:
    (scene.directory / "tls.key").unlink()
    with pytest.raises(Unfit, match=r"tls\.key can't be read"):
        Certificates(scene.settings, "here:1", lambda: scene.now)
