"""Metrics are text that Prometheus reads, and counting is exact."""

import pytest

from warmfront.telemetry.metrics import Registry, process_metrics


def test_the_text_is_what_prometheus_wants():
    """Help, type, samples in order of creation; labels escaped; whole numbers without a point."""
    registry = Registry()
    requests = registry.counter("requests_total", "Requests.", ("task", "status"))
    requests.child("a\\b", 'say "x"\n').value += 2
    registry.gauge("in_flight", "Now.").child().value = 0.5
    registry.counter("never_total", "Nothing yet.", ("x",))
    assert registry.render().decode() == (
        "# HELP requests_total Requests.\n"
        "# TYPE requests_total counter\n"
        'requests_total{task="a\\\\b",status="say \\"x\\"\\n"} 2\n'
        "# HELP in_flight Now.\n"
        "# TYPE in_flight gauge\n"
        "in_flight 0.5\n"
    )


def test_a_histogram_counts_into_inclusive_buckets():
    """A value equal to a bound belongs to it; buckets add up; what exceeds all bounds is in +Inf only."""
    registry = Registry()
    latency = registry.histogram("latency_seconds", "Latency.", (), (0.5, 1.0)).child()
    for value in (0.1, 0.5, 0.75, 1.0, 2.0):
        latency.observe(value)
    assert registry.render().decode().splitlines()[2:] == [
        'latency_seconds_bucket{le="0.5"} 2',
        'latency_seconds_bucket{le="1"} 4',
        'latency_seconds_bucket{le="+Inf"} 5',
        "latency_seconds_sum 4.35",
        "latency_seconds_count 5",
    ]


def test_children_are_kept_and_removed_by_label():
    """The same labels give the same child; a wrong number of labels is a mistake of ours; the gone are dropped."""
    family = Registry().gauge("ready", "Ready.", ("task", "variant"))
    child = family.child("t", "a")
    family.child("t", "b")
    assert family.child("t", "a") is child
    with pytest.raises(ValueError, match="has labels"):
        family.child("t")
    family.remove("variant", "a")
    assert [line for line in family.lines() if not line.startswith("#")] == ['ready{task="t",variant="b"} 0']


def test_collectors_fill_in_before_rendering():
    """Process facts are read at each rendering; a name in _total is a counter."""
    registry, readings = Registry(), iter([1.0, 2.5])
    process_metrics(registry, lambda: {"process_cpu_seconds_total": next(readings), "process_open_fds": 3.0})
    assert b"process_cpu_seconds_total 1\n" in registry.render()
    second = registry.render()
    assert b"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 2.5\n" in second
    assert b"# TYPE process_open_fds gauge\n" in second


def test_the_reference_parser_reads_it_back():
    """prometheus-client, an independent oracle, finds the same samples."""
    parser = pytest.importorskip("prometheus_client.parser")
    registry = Registry()
    registry.counter("c_total", "C.", ("l",)).child('q"\\\n').value += 1.5
    histogram = registry.histogram("h_seconds", "H.", ("l",), (0.1,)).child("x")
    histogram.observe(0.05)
    histogram.observe(5)
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(registry.render().decode())
        for sample in family.samples
    }
    assert samples[("c_total", (("l", 'q"\\\n'),))] == 1.5
    assert samples[("h_seconds_bucket", (("l", "x"), ("le", "0.1")))] == 1
    assert samples[("h_seconds_bucket", (("l", "x"), ("le", "+Inf")))] == 2
    assert samples[("h_seconds_sum", (("l", "x"),))] == 5.05
