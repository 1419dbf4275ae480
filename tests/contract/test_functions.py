"""The function folders as a platform runs them: started by their Procfile, asked over the loopback, ended."""

import csv
import http.client
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.processes import ROOT, Starter, starter

from warmfront.cloudevents import CloudEvent, Mode, decode, encode
from warmfront.function.dummy import expected_label

VARIANTS = ("langid_cld2", "langid_fasttext", "langid_py3langid", "langid_lingua")
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.fixture
def start() -> Iterator[Starter]:
    """Starts functions; ends what is left."""
    yield from starter()


@pytest.fixture(scope="module")
def samples() -> list[tuple[str, str]]:
    """Long labelled texts, on which every variant is nearly always right."""
    with (ROOT / "src/warmfront/experiments/data/langid_texts.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["lang"]) for row in csv.DictReader(file) if len(row["text"].encode()) > 120]


@pytest.mark.parametrize("name", VARIANTS)
def test_real_variant(start: Starter, samples: list[tuple[str, str]], name: str) -> None:
    """Started by its Procfile, each real model answers in three protocols, alike, and tells how warm it was."""
    function = start(ROOT / "functions" / name, K_SERVICE=name.replace("_", "-"), K_REVISION="r-00001")
    assert function.ask("GET", "/readyz")[0] == 200
    text = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand weiß so recht, warum."

    status, headers, body = function.ask("POST", "/", text.encode(), TEXT)
    assert (status, json.loads(body)["label"], headers["Warmfront-Label"]) == (200, "de", "de")
    assert headers["Warmfront-First-Request"] == "true"
    assert 0 < float(headers["Warmfront-Load-Ms"]) <= float(headers["Warmfront-Uptime-Ms"])
    assert float(headers["Warmfront-Execution-Ms"]) >= 0

    event = CloudEvent(id="1", source="/test", type="dev.warmfront.inference.request", data=text.encode())
    sent, content = encode(event, Mode.BINARY)
    status, headers, body = function.ask("POST", "/", content, {k.decode(): v.decode() for k, v in sent})
    answer = decode([(k.lower().encode(), v.encode()) for k, v in headers.items()], body)
    assert (status, json.loads(answer.data)["label"], answer.extensions["variant"]) == (
        200,
        "de",
        name.replace("_", "-"),
    )
    assert headers["Warmfront-First-Request"] == "false"

    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    request = json.dumps({"id": "q", "inputs": [tensor]}).encode()
    status, _, body = function.ask("POST", "/v2/models/langid/infer", request, {"Content-Type": "application/json"})
    reply = json.loads(body)
    assert (status, reply["id"], reply["outputs"][0]["data"]) == (200, "q", ["de"])

    right = [json.loads(function.ask("POST", "/", t.encode(), TEXT)[2])["label"] == lang for t, lang in samples]
    assert sum(right) / len(right) > 0.9
    assert function.end() == 0


@pytest.mark.parametrize("name", VARIANTS)
def test_awkward_text(start: Starter, name: str) -> None:
    """Digits, control characters, lines, one letter and an unpaired emoji part get a label, never an error."""
    function = start(ROOT / "functions" / name)
    for text in ("12345", "a\x00b\x1b[0m\x85", "eins\nzwei\r\ndrei", "x", "\U0001f1e9", "\ufffe", "%00"):
        status, _, body = function.ask("POST", "/", text.encode(), TEXT)
        assert (status, list(json.loads(body))) == (200, ["label", "score"]), text
        assert json.loads(body)["label"]


def test_same_seed_same_behaviour(start: Starter) -> None:
    """Two processes of one seed answer and fail alike, input by input; a better one errs nowhere else."""
    folder = ROOT / "dummy_model_fn"
    settings = {"DUMMY_SEED": "7", "DUMMY_LATENCY_MS": "0", "DUMMY_FAILURE_RATE": "0.3", "DUMMY_ACCURACY": "0.6"}
    inputs = [b"input %d" % n for n in range(60)]

    def answers(**changes: str) -> list[tuple[int, str | None]]:
        function = start(folder, **(settings | changes))
        replies = [function.ask("POST", "/", data, TEXT) for data in inputs]
        return [(status, headers["Warmfront-Label"]) for status, headers, _ in replies]

    first, second = answers(), answers()
    assert first == second
    assert {status for status, _ in first} == {200, 500}
    truth = [expected_label(data, 7) for data in inputs]
    better = answers(DUMMY_ACCURACY="0.9", DUMMY_FAILURE_RATE="0")
    for (status, label), (_, better_label), right in zip(first, better, truth, strict=True):
        assert status == 500 or label != right or better_label == right


def test_dummy_takes_the_memory_and_the_time_it_says(start: Starter) -> None:
    """100 MB more are resident, and process start to ready takes the 700 ms that are set, not less."""
    function = start(ROOT / "dummy_model_fn", DUMMY_MEMORY_MB="100", DUMMY_COLD_START_MS="700", DUMMY_LATENCY_MS="0")
    resident = Path(f"/proc/{function.popen.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
    assert int(resident) > 110 * 1024
    load_ms = float(function.ask("POST", "/", b"x", TEXT)[1]["Warmfront-Load-Ms"])
    assert load_ms >= 690  # the kernel dates a process to 10 ms


def test_wrong_dummy_setting_ends_the_start(start: Starter) -> None:
    """A typo is one line on stderr and status 2, before the port opens."""
    with pytest.raises(AssertionError, match="ended with 2 and said DUMMY_ACURACY is unknown; there are DUMMY_TASK"):
        start(ROOT / "dummy_model_fn", DUMMY_ACURACY="1")


def test_occupied_port(start: Starter) -> None:
    """A port in use is one line that names it."""
    function = start(ROOT / "functions/langid_cld2")
    with pytest.raises(AssertionError, match=f"ended with 2 and said cannot listen on 127.0.0.1:{function.port}"):
        start(ROOT / "functions/langid_cld2", PORT=str(function.port))


def test_ends_gracefully(start: Starter) -> None:
    """SIGTERM lets the request in flight finish while health is still answered beside it, then ends with 0."""
    function = start(ROOT / "dummy_model_fn", DUMMY_LATENCY_MS="800", THREADS="1")
    connection = http.client.HTTPConnection("127.0.0.1", function.port, timeout=30)
    connection.request("POST", "/", body=b"slow", headers=TEXT)
    assert function.ask("GET", "/readyz")[0] == 200
    function.popen.send_signal(signal.SIGTERM)
    assert connection.getresponse().status == 200
    connection.close()
    assert function.popen.wait(timeout=30) == 0


def test_keeps_connections_and_serves_in_parallel(start: Starter) -> None:
    """One connection carries many requests, and as many predictions run at once as THREADS says."""
    function = start(ROOT / "dummy_model_fn", DUMMY_LATENCY_MS="100", DUMMY_PER_IN_FLIGHT_MS="100", THREADS="4")
    connection = http.client.HTTPConnection("127.0.0.1", function.port, timeout=30)
    for _ in range(3):
        connection.request("POST", "/", body=b"x", headers=TEXT)
        assert connection.getresponse().read()
    connection.close()
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda n: function.ask("POST", "/", b"%d" % n, TEXT), range(4)))
    took_ms = [float(headers["Warmfront-Execution-Ms"]) for _, headers, _ in replies]
    assert max(took_ms) >= 200  # it saw at least one other in flight


def test_body_above_the_limit(start: Starter) -> None:
    """A body above 1 MiB is a 413 in the function's own words; the next request works."""
    function = start(ROOT / "functions/langid_cld2")
    status, _, body = function.ask("POST", "/", b"a" * (2**20 + 1), TEXT)
    assert (status, json.loads(body)["error"]) == (413, "the body exceeds 1048576 bytes; send a shorter input")
    assert function.ask("POST", "/", b"Guten Tag", TEXT)[0] == 200


def test_stock_functions_framework(start: Starter) -> None:
    """The unchanged functions-framework serves the same function by its http signature."""
    function = start(
        ROOT / "functions/langid_cld2",
        "functions-framework --target=handle --signature-type=http --port=0 --host=$HOST",
        r"Listening at: http://127.0.0.1:(\d+)",
        GUNICORN_LOG_LEVEL="info",
        K_SERVICE="langid-cld2",
    )
    status, headers, body = function.ask("POST", "/", b"Guten Tag, wie geht es Ihnen?", TEXT)
    assert (status, json.loads(body)["label"], headers["Warmfront-First-Request"]) == (200, "de", "true")
    assert function.ask("GET", "/readyz")[0] == 200
    assert function.ask("GET", "/v2/models/langid-cld2")[0] == 200
    sent, content = encode(CloudEvent(id="1", source="/t", type="t", data=b"Guten Tag, wie geht es?"), Mode.BINARY)
    status, headers, body = function.ask("POST", "/", content, {k.decode(): v.decode() for k, v in sent})
    assert (status, headers["ce-type"]) == (200, "dev.warmfront.inference.response")
    function.end()
