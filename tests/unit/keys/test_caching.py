from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.keys.caching import lifetime

NOW = 1_800_000_000.0


def http_date(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"cache-control": "public"}, None, id="nothing said about time"),
        pytest.param({"cache-control": "must-revalidate"}, None, id="must-revalidate alone"),
        pytest.param({"cache-control": "s-maxage=60"}, None, id="for shared caches only"),
        pytest.param({"cache-control": "max-age=300"}, 300, id="max-age"),
        pytest.param({"cache-control": "MAX-AGE=300"}, 300, id="in capitals"),
        pytest.param({"cache-control": 'max-age="300"'}, 300, id="in quotes"),
        pytest.param({"cache-control": "max-age = 300"}, 300, id="with spaces"),
        pytest.param({"cache-control": "max-age=300, must-revalidate"}, 300, id="among others"),
        pytest.param({"cache-control": 'private="max-age=1", max-age=300'}, 300, id="quoted text"),
        pytest.param({"cache-control": "max-age=300, max-age=60"}, 60, id="twice: the shorter"),
        pytest.param({"cache-control": "max-age=0"}, 0, id="none at all"),
        pytest.param({"cache-control": "max-age=-1"}, 0, id="a negative number"),
        pytest.param({"cache-control": "max-age=soon"}, 0, id="no number"),
        pytest.param({"cache-control": "max-age"}, 0, id="no value"),
        pytest.param({"cache-control": "max-age=" + "9" * 5000}, 2**31, id="a huge number"),
        pytest.param({"cache-control": "no-cache, max-age=300"}, 0, id="no-cache"),
        pytest.param({"cache-control": "max-age=300, no-store"}, 0, id="no-store"),
        pytest.param({"cache-control": "max-age=300", "age": "100"}, 200, id="spent in caches"),
        pytest.param({"cache-control": "max-age=300", "age": "400"}, 0, id="used up in caches"),
        pytest.param({"cache-control": "max-age=300", "age": "old"}, 300, id="an age that is none"),
        pytest.param(
            {"cache-control": "max-age=300", "expires": http_date(60)}, 300, id="max-age wins"
        ),
        pytest.param({"expires": http_date(60)}, 60, id="expires by our clock"),
        pytest.param(
            {"expires": http_date(3660), "date": http_date(3600)}, 60, id="expires by theirs"
        ),
        pytest.param(
            {"expires": http_date(60), "date": http_date(0), "age": "50"}, 10, id="expires and age"
        ),
        pytest.param({"expires": http_date(-60)}, 0, id="expired"),
        pytest.param({"expires": "0"}, 0, id="expires is no date"),
        pytest.param({"expires": http_date(60), "date": "yesterday"}, 60, id="their date is none"),
    ],
)
def test_lifetime(headers: dict[str, str], seconds: float | None) -> None:
    assert lifetime(headers, NOW) == seconds


@given(
    st.dictionaries(
        st.sampled_from(["cache-control", "expires", "age", "date"]),
        st.text()
        | st.integers().map("max-age={}".format)
        | st.builds("Mon, {} Jan {} 00:00:00 {}".format, st.integers(), st.integers(), st.text()),
    )
)
def test_whatever_is_said_is_a_time_within_bounds(headers: dict[str, str]) -> None:
    found = lifetime(headers, NOW)
    assert found is None or 0 <= found <= 2**31
