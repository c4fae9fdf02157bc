import pytest

from sidecar.keys.generated import generate_private_key
from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, SYMMETRIC
from sidecar.token.signing import from_private_key, sign


@pytest.mark.parametrize("algorithm", sorted(ASYMMETRIC))
def test_a_key_for_every_algorithm_signs_what_it_verifies(algorithm: str) -> None:
    private = generate_private_key(algorithm)
    signature = sign(from_private_key(private, algorithm, None), b"text")
    assert ALGORITHMS[algorithm].verify(private.public_key(), b"text", signature)
    assert not ALGORITHMS[algorithm].verify(private.public_key(), b"other", signature)


@pytest.mark.parametrize("algorithm", sorted(SYMMETRIC))
def test_no_private_key_for_a_secret(algorithm: str) -> None:
    message = f"^{algorithm} is symmetric: it has a secret and no private key$"
    with pytest.raises(ValueError, match=message):
        generate_private_key(algorithm)


def test_every_key_is_new() -> None:
    one, other = (generate_private_key("ES256").private_numbers() for _ in range(2))
    assert one != other


def test_rsa_keys_have_2048_bits() -> None:
    assert generate_private_key("RS256").key_size == 2048
