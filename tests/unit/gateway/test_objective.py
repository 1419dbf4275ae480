"""The objective of a request: every field's rule, by every carrier, with faults that name field, value and rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.domain import OnMiss, Weights
from warmfront.errors import InvalidRequest
from warmfront.gateway.objective import (
    EXTENSIONS,
    HEADERS,
    Objective,
    from_annotations,
    from_extensions,
    from_headers,
    from_parameters,
)


def test_all_headers():
    """Each header sets its field; blanks around a value do not count."""
    found = from_headers(
        [
            (b"host", b"x"),
            (b"warmfront-deadline-ms", b" 250.5 "),
            (b"warmfront-min-accuracy", b"0.8"),
            (b"warmfront-on-miss", b"reject"),
            (b"warmfront-weights", b"accuracy=1, latency=0.25"),
        ]
    )
    assert found == Objective(
        deadline_s=0.2505,
        min_accuracy=0.8,
        on_miss=OnMiss.REJECT,
        weights=Weights(latency=0.25, accuracy=1.0),
    )


def test_absent_fields_are_the_tasks_defaults():
    """What a request does not say comes from the defaults; without a word they are the objective."""
    defaults = Objective(deadline_s=2.0, min_accuracy=0.5)
    assert from_headers([(b"host", b"x")], defaults) is defaults
    assert from_extensions({"other": "1"}, defaults) is defaults
    assert from_headers([(b"warmfront-min-accuracy", b"1")], defaults) == Objective(deadline_s=2.0, min_accuracy=1.0)


def test_an_instant_replaces_the_default_deadline():
    """`deadlineat` is the request's own deadline, also when it lies behind the task's default."""
    asked = from_extensions({"deadlineat": "1970-01-01T01:00:00.5+01:00"}, Objective(deadline_s=2.0))
    assert (asked.deadline_s, asked.deadline_epoch_s) == (None, 0.5)
    both = from_extensions({"deadlineat": "1970-01-01T00:00:01Z", "deadlinems": "500"})
    assert (both.deadline_s, both.deadline_epoch_s) == (0.5, 1.0)


def test_all_faults_are_told_at_once():
    """One error names every broken field with value and rule."""
    with pytest.raises(InvalidRequest) as raised:
        from_extensions({"deadlinems": "soon", "deadlineat": "now", "minaccuracy": "2", "onmiss": "", "weights": "x"})
    told = str(raised.value)
    assert "deadlinems is 'soon'; it must be a number of milliseconds above 0 and at most 86400000" in told
    assert "deadlineat is 'now'; it must be an RFC 3339 date and time" in told
    assert "minaccuracy is '2'; it must be a number in [0, 1]" in told
    assert "onmiss is ''; it must be degrade or reject" in told
    assert "weights is 'x'; it must be latency=W,accuracy=W" in told


def test_a_field_given_twice_is_a_fault():
    """Two deadlines are none: nobody can know which one was meant."""
    with pytest.raises(InvalidRequest, match="Warmfront-Deadline-Ms is given more than once"):
        from_headers([(b"warmfront-deadline-ms", b"1"), (b"warmfront-deadline-ms", b"2")])


@pytest.mark.parametrize("value", ["latency=0,accuracy=0", "latency=2,accuracy=1", "latency=1,latency=1", "a=1,b=1"])
def test_weights_that_mean_nothing(value):
    """Both weights, once each, in [0, 1], not both 0."""
    with pytest.raises(InvalidRequest, match="not both 0"):
        from_extensions({"weights": value})


def test_parameters_may_use_either_name_and_json_types():
    """Open Inference parameters carry the header's or the extension's name; numbers need no quotes."""
    assert from_parameters({"deadlinems": 250}).deadline_s == 0.25
    assert from_parameters({"Warmfront-Deadline-Ms": 250.0}).deadline_s == 0.25
    assert from_parameters({"minaccuracy": 0.5, "temperature": 1}).min_accuracy == 0.5
    with pytest.raises(InvalidRequest, match=r"parameters\.deadlinems is 'True'"):
        from_parameters({"deadlinems": True})


def test_defaults_come_from_annotations():
    """The annotations of a Service or Trigger; other annotations do not matter."""
    annotations = {"warmfront.dev/default-deadline-ms": "1500", "warmfront.dev/default-on-miss": "reject", "x": "y"}
    assert from_annotations(annotations) == Objective(deadline_s=1.5, on_miss=OnMiss.REJECT)


def fault_of(parse, found) -> str:
    """What is wrong with `found`; empty when it is an objective. Any other error fails the test."""
    try:
        assert isinstance(parse(found), Objective)
    except InvalidRequest as error:
        return str(error)
    return ""


@given(st.sampled_from(sorted(HEADERS)), st.binary(max_size=40))
def test_any_bytes_are_an_objective_or_a_named_fault(name, value):
    """Law: whatever a header holds, the answer is an objective or an InvalidRequest with the header's name."""
    fault = fault_of(from_headers, [(name, value)])
    assert not fault or fault.lower().startswith(name.decode())


@given(st.dictionaries(st.sampled_from(sorted(EXTENSIONS)), st.text(max_size=30)))
def test_any_text_is_an_objective_or_faults(extensions):
    """Law: whatever extensions hold, no other error escapes, and a fault names an extension."""
    fault = fault_of(from_extensions, extensions)
    assert not fault or any(name in fault for name in extensions)
