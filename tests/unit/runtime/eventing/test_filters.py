"""Trigger filters: each dialect, their combinations, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfront.cloudevents import CloudEvent
from warmfront.errors import InvalidRequest
from warmfront.runtime.eventing.filters import attributes_of, compile_filter

EVENT = attributes_of(
    CloudEvent(id="1", source="/orders/7", type="com.example.created", extensions={"region": "eu", "size": "12"})
)
CREATED = {"exact": {"type": "com.example.created"}}
DELETED = {"exact": {"type": "com.example.deleted"}}


def test_attributes_are_all_context_attributes_as_strings():
    """Core and extensions, `specversion` too; absent optional ones are not there."""
    assert attributes_of(CloudEvent(id="1", source="/s", type="t", subject="x", extensions={"n": "1"}, data=b"d")) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "t",
        "subject": "x",
        "n": "1",
    }


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ([CREATED], True),
        ([DELETED], False),
        ([{"exact": {"type": "com.example.created", "region": "eu"}}], True),
        ([{"exact": {"type": "com.example.created", "region": "us"}}], False),
        ([{"exact": {"subject": "x"}}], False),
        ([{"prefix": {"source": "/orders/"}}], True),
        ([{"prefix": {"source": "/invoices/"}}], False),
        ([{"prefix": {"subject": "x"}}], False),
        ([{"suffix": {"type": ".created"}}], True),
        ([{"suffix": {"type": ".created", "source": "8"}}], False),
        ([{"all": [CREATED, {"prefix": {"source": "/"}}]}], True),
        ([{"all": [CREATED, DELETED]}], False),
        ([{"any": [DELETED, CREATED]}], True),
        ([{"any": [DELETED]}], False),
        ([{"not": DELETED}], True),
        ([{"not": CREATED}], False),
        ([{"not": {"exact": {"subject": "x"}}}], True),
        ([{"not": {"any": [DELETED, {"all": [CREATED, {"exact": {"region": "us"}}]}]}}], True),
        ([{"cesql": "type LIKE '%.created' AND size > 9"}], True),
        ([{"cesql": "subject = 'x'"}], False),
        ([{"not": {"cesql": "subject = 'x'"}}], True),
        ([CREATED, {"cesql": "region IN ('eu', 'us')"}], True),
        ([CREATED, DELETED], False),
    ],
)
def test_dialects(filters, passes):
    """All filters of the list must pass; an attribute that is not there passes none of exact, prefix and suffix."""
    assert compile_filter({"filters": filters})(EVENT) is passes


@pytest.mark.parametrize(
    ("attributes", "passes"),
    [
        ({}, True),
        ({"type": "com.example.created"}, True),
        ({"type": "com.example.created", "region": "us"}, False),
        ({"region": ""}, True),
        ({"subject": ""}, False),
    ],
)
def test_filter_attributes(attributes, passes):
    """The older form: all must match, an empty value wants the attribute with any value."""
    assert compile_filter({"filter": {"attributes": attributes}})(EVENT) is passes


def test_filters_win_over_filter():
    """With both given only `filters` counts; an empty list counts as none; without any everything passes."""
    older = {"attributes": {"type": "other"}}
    assert compile_filter({"filters": [CREATED], "filter": older})(EVENT)
    assert not compile_filter({"filters": [], "filter": older})(EVENT)
    assert compile_filter({})(EVENT)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"filters": CREATED}, "spec.filters is {"),
        ({"filters": [{}]}, "wanted exactly one of exact, prefix, suffix, all, any, not, cesql"),
        ({"filters": [{**CREATED, "cesql": "TRUE"}]}, "spec.filters[0] holds ['cesql', 'exact']"),
        ({"filters": [{"regex": {"type": ".*"}}]}, "unknown dialect 'regex'"),
        ({"filters": ["TRUE"]}, "spec.filters[0] holds 'TRUE'"),
        ({"filters": [{"exact": {}}]}, "at least one attribute"),
        ({"filters": [{"exact": {"type": ""}}]}, "none with an empty value"),
        ({"filters": [{"prefix": {"size": 12}}]}, "spec.filters[0].prefix is {'size': 12}"),
        ({"filters": [{"all": []}]}, "spec.filters[0].all is []"),
        ({"filters": [{"any": [CREATED, {"not": {"cesql": 5}}]}]}, "spec.filters[0].any[1].not.cesql is 5"),
        ({"filters": [{"cesql": "FOO()"}]}, "spec.filters[0].cesql: CESQL column 1: unknown function FOO"),
        ({"filter": {"attributes": {"type": 1}}}, "spec.filter.attributes"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(spec, message):
    """The message says where, what was found and what is wanted."""
    with pytest.raises(InvalidRequest) as caught:
        compile_filter(spec)
    assert message in str(caught.value)


def test_nesting_has_a_bound():
    """A filter of a hundred nots is refused, not a crash."""
    nested = CREATED
    for _ in range(100):
        nested = {"not": nested}
    with pytest.raises(InvalidRequest, match="nested deeper than 20"):
        compile_filter({"filters": [nested]})


leaves = st.sampled_from([CREATED, DELETED, {"cesql": "EXISTS region"}, {"prefix": {"region": "u"}}])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda f: {"not": f}, inner),
        st.builds(lambda fs: {"all": fs}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda fs: {"any": fs}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@given(st.lists(trees, min_size=1, max_size=4))
def test_de_morgan(filters):
    """Not all is any not, whatever the filters: `all`, `any` and `not` are a Boolean algebra."""
    left = compile_filter({"filters": [{"not": {"all": filters}}]})
    right = compile_filter({"filters": [{"any": [{"not": f} for f in filters]}]})
    assert left(EVENT) is right(EVENT)
