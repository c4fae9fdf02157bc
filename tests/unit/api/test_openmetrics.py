from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sidecar.api.metrics import counted
from sidecar.api.openmetrics import Family, counter, text_of, together
from sidecar.metrics import BOUNDS, Histogram, Metrics
from sidecar.status import CacheStatus
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal
from sidecar.token.snapshot import ClaimRules, Issuer
from tests.unit.parties import NOW, consumer, key_set, verified

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Name and labels to value, as a scraper reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


class Fetched:
    """An issuer's remote keys that were fetched so often."""

    def __init__(self, **fetches: int) -> None:
        self.fetches = fetches


def families(metrics: Metrics, age: float = 90) -> tuple[Family, ...]:
    issuers = [
        Issuer("corp", "https://corp.example", ClaimRules(None), key_set(), fetch_time=NOW - age),
        Issuer("local", "https://local.example", ClaimRules(None), key_set()),
    ]
    caches = [CacheStatus("tokens", 2, 100, 7, 3)]
    sources = {"corp": Fetched(fetched=4, timeout=1)}
    return counted(metrics, issuers, sources, caches, ["native", "grpcio"], 3, NOW)


def scraped(metrics: Metrics) -> Samples:
    return parsed(text_of(families(metrics)))


def metrics_of_a_day() -> Metrics:
    metrics = Metrics()
    metrics.decided("grpc", verified(), 0.0002)
    metrics.decided("grpc", verified(), 0.3)
    metrics.decided("ext_authz", verified(by=consumer()), 0.0001)
    metrics.decided("ext_authz", None, 0.0001)
    metrics.decided("http", Refusal(Reason.EXPIRED, "why", "corp"), 99.0)
    metrics.issued["internal"] += 3
    metrics.revocations["subject"] += 1
    metrics.reloads["failed"] += 2
    metrics.store_errors["write"] += 5
    metrics.left_out["x-roles"] += 6
    return metrics


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("decisions_total", {"surface": "grpc", "issuer": "corp", "reason": "OK"}, 2),
        ("decisions_total", {"surface": "ext_authz", "issuer": "", "reason": "OK"}, 2),
        ("decisions_total", {"surface": "http", "issuer": "corp", "reason": "EXPIRED"}, 1),
        ("decision_seconds_count", {"surface": "grpc"}, 2),
        ("decision_seconds_bucket", {"surface": "grpc", "le": "0.00025"}, 1),
        ("decision_seconds_bucket", {"surface": "grpc", "le": "0.1"}, 1),
        ("decision_seconds_bucket", {"surface": "grpc", "le": "0.5"}, 2),
        ("decision_seconds_bucket", {"surface": "http", "le": "5.0"}, 0),
        ("decision_seconds_bucket", {"surface": "http", "le": "+Inf"}, 1),
        ("decision_seconds_sum", {"surface": "http"}, 99.0),
        ("cache_hits_total", {"cache": "tokens"}, 7),
        ("cache_misses_total", {"cache": "tokens"}, 3),
        ("cache_entries", {"cache": "tokens"}, 2),
        ("key_fetches_total", {"issuer": "corp", "outcome": "timeout"}, 1),
        ("keys_age_seconds", {"issuer": "corp"}, 90),
        ("tokens_issued_total", {"signer": "internal"}, 3),
        ("revocations_total", {"kind": "subject"}, 1),
        ("config_reloads_total", {"outcome": "failed"}, 2),
        ("store_errors_total", {"operation": "write"}, 5),
        ("headers_left_out_total", {"header": "x-roles"}, 6),
        ("calls_turned_away_total", {}, 3),
    ],
)
def test_what_a_scraper_reads(name: str, labels: dict[str, str], value: float) -> None:
    samples = scraped(metrics_of_a_day())
    assert samples[f"jwt_sidecar_{name}", tuple(sorted(labels.items()))] == value


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("config_reloads_total", "outcome", {"changed", "unchanged", "failed"}),
        ("store_errors_total", "operation", {"get", "write", "page", "changes", "wait"}),
    ],
)
def test_what_is_alerted_on_is_there_before_it_happens(
    name: str, label: str, values: set[str]
) -> None:
    samples = scraped(Metrics())
    assert {(((label, one),), 0.0) for one in values} == {
        (labels, value) for (found, labels), value in samples.items() if found.endswith(name)
    }


def test_the_build_is_told_once() -> None:
    (labels,) = [labels for name, labels in scraped(Metrics()) if name == "jwt_sidecar_build_info"]
    assert dict(labels).keys() == {"version", "python", "transport"}
    assert dict(labels)["transport"] == "grpcio+native"


def test_a_clock_that_went_back_makes_no_keys_of_the_future() -> None:
    issuer = Issuer("corp", "i", ClaimRules(None), key_set(), fetch_time=NOW + 9)
    samples = parsed(text_of(counted(Metrics(), [issuer], {}, [], [], 0, NOW)))
    assert samples["jwt_sidecar_keys_age_seconds", (("issuer", "corp"),)] == 0


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_counts_itself(bound: float) -> None:
    one = Histogram()
    one.add(bound)
    assert one.counts.index(1) == BOUNDS.index(bound)


@given(st.dictionaries(st.just("header"), st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_label_is_read_as_it_was_written(labels: dict[str, str]) -> None:
    samples = parsed(text_of([counter("a", "b\\c\nd", [(labels, 1)])]))
    assert samples == {("a_total", tuple(labels.items())): 1}


def test_several_processes_have_the_sum_of_what_each_counts() -> None:
    one, other = metrics_of_a_day(), Metrics()
    other.decided("grpc", verified(), 0.0002)
    other.issued["another"] += 2
    apart = [parsed(text_of(families(counts))) for counts in (one, other)]
    both = parsed(text_of(together(families(counts) for counts in (one, other))))
    assert both.keys() == apart[0].keys() | apart[1].keys()
    for sample, value in both.items():
        values = [samples[sample] for samples in apart if sample in samples]
        largest = sample[0] in {"jwt_sidecar_keys_age_seconds", "jwt_sidecar_build_info"}
        assert value == pytest.approx(max(values) if largest else sum(values)), sample
    assert both["jwt_sidecar_workers", ()] == 2


@pytest.mark.parametrize("ages", [(1, 90), (90, 1)])
def test_of_several_processes_the_oldest_keys_count(ages: tuple[float, float]) -> None:
    both = parsed(text_of(together(families(Metrics(), age) for age in ages)))
    assert both["jwt_sidecar_keys_age_seconds", (("issuer", "corp"),)] == 90
