from pathlib import Path

import pytest

from tests.unit.config.folder import KEYS, Folder, private_pem, public_pem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """With a key of each kind, and their public halves."""
    made = Folder(tmp_path)
    for name, key in KEYS.items():
        made.write(f"{name}.pem", private_pem(key))
        made.write(f"{name}.pub", public_pem(key))
    made.write("locked.pem", private_pem(KEYS["ec"], b"open sesame"))
    return made
