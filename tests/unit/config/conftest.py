from pathlib import Path

import pytest

from tests.unit.config.folder import KEYS, Folder, locked_pem, private_pem, public_pem


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """With a key of each kind, and their public halves."""
    made = Folder(tmp_path)
    for name, key in KEYS.items():
        made.write(f"{name}.pem", private_pem(key))
        made.write(f"{name}.pub", public_pem(key))
    made.write("locked.pem", locked_pem(KEYS["ec"], b"open sesame", b"marker"))
    return made
