"""Added latency by region: where it is set, and that a wrong setting is named."""

import pytest

from warmfront.errors import SetupError
from warmfront.runtime.network import Network, delay_s, parse_delays


def test_nothing_is_added_unless_set():
    """No file, no annotation: zero for everyone."""
    assert delay_s(Network.load(None).delays("echo", ""), b"eu") == 0.0


def test_a_region_has_its_own_latency_and_the_star_is_for_the_rest(tmp_path):
    """Milliseconds in the file, seconds out."""
    (tmp_path / "net.json").write_text('{"echo": {"eu": 10, "*": 300}}')
    delays = Network.load(tmp_path / "net.json").delays("echo", "")
    assert [delay_s(delays, region) for region in (b"eu", b"us", None)] == [0.01, 0.3, 0.3]


def test_the_annotation_wins_over_the_file(tmp_path):
    """What a Service says about itself is what holds."""
    (tmp_path / "net.json").write_text('{"echo": {"eu": 10}}')
    network = Network.load(tmp_path / "net.json")
    assert network.delays("echo", '{"us": 5}') == {"us": 5.0}
    assert network.delays("other", "") == {}


@pytest.mark.parametrize("text", ["eu=10", '{"eu": "fast"}', "[]", '{"eu": -1}'])
def test_a_wrong_annotation_is_named(text):
    """The message holds the annotation's name and the value found."""
    with pytest.raises(SetupError, match=r"warmfront\.dev/network-ms") as caught:
        parse_delays(text)
    assert repr(text) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Absent or not what it should be."""
    with pytest.raises(SetupError, match=r"none\.json"):
        Network.load(tmp_path / "none.json")
    (tmp_path / "net.json").write_text("[1]")
    with pytest.raises(SetupError, match="VARIANT"):
        Network.load(tmp_path / "net.json")
