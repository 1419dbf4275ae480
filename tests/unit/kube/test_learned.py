"""Learned state as a document: format, merging, files, and what is done when it cannot be had."""

import asyncio
import random
from pathlib import Path

import pytest

from warmfront.domain import Profile, Spread
from warmfront.errors import Conflict, Unauthorized, UpstreamFailed
from warmfront.kube import learned as kept
from warmfront.kube.learned import Archive, FilePlace, decode, encode, merge
from warmfront.selection.estimators.calibration import BINS
from warmfront.selection.learned import Errors, Learned, LearnedVariant, Samples

PROFILE = Profile(
    accuracy=0.8, accuracy_by_bytes=((24, 0.72), (200, 0.92)), latency_s=Spread(p50=0.01, p95=0.02),
    cold_start_s=Spread(p50=1.0, p95=1.5), memory_mb=100.0,
)  # fmt: skip


def variant(age_s=0.0, revision="r1", **more) -> LearnedVariant:
    return LearnedVariant(revision=revision, profile=PROFILE, age_s=age_s, **more)


def learned(**variants) -> Learned:
    return Learned(variants=variants, age_s=min((v.age_s for v in variants.values()), default=0.0))


def full() -> LearnedVariant:
    """A variant that has learned as much as can be: twelve size classes, both calibrations."""
    rng = random.Random(1)

    def samples() -> Samples:
        return Samples(*(float(f"{rng.uniform(0, 9):.4g}") for _ in range(3)), 0.003642)

    return variant(
        12.34, execution=samples(), execution_by_size={n: samples() for n in range(12)}, network=samples(),
        cold_start=samples(), accuracy=Errors(512.3, 40.25),
        accuracy_by_size={n: Errors(97.31, 8.123) for n in range(12)},
        warm=tuple(round(rng.expovariate(0.3), 2) for _ in range(BINS + 1)),
        waiting=tuple(round(rng.expovariate(0.3), 2) for _ in range(BINS + 1)),
    )  # fmt: skip


def test_the_document_comes_back_older():
    """All numbers as they were; ages grow by the time between writing and reading, never backwards."""
    before = learned(v=full())
    after = decode(encode(before, 1000.0), 1060.5)
    assert after.variants["v"].age_s == pytest.approx(12.34 + 60.5)
    assert decode(encode(before, 1000.0), 1000.0) == before
    assert decode(encode(before, 1000.0), 900.0) == before


def test_it_is_small_and_bounded():
    """A variant that learned all it can takes less than 2 KiB; the youngest 256 are kept, nobody beyond a month."""
    assert len(encode(learned(v=full()), 1.0)) < 2048
    many = {f"v{age}": variant(float(age)) for age in range(400)}
    document = encode(Learned(variants=many), 1.0)
    assert set(decode(document, 1.0).variants) == {f"v{age}" for age in range(256)}
    assert decode(encode(learned(old=variant(31 * 86_400.0)), 1.0), 1.0).variants == {}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not a document"),
        (b"\xff\xfe", "not a document"),
        (b"[]", "not a document"),
        (b'{"version":2,"saved_at":1,"learned":{}}', "version 2 of learned state; version 1"),
        (b'{"version":1,"saved_at":1,"learned":{"age_s":-1}}', "age_s is -1"),
        (b'{"version":1,"saved_at":1,"learned":{"variants":{"v":{"revision":"r"}}}}', "missing required field"),
        (b'{"version":1,"saved_at":1,"learned":{"network":[1,2,3,4]}}', "fade must lie"),
        (b'{"version":1,"saved_at":1,"learned":{"network":[1e999,2,3,4]}}', "not a document"),
    ],
)
def test_damaged_and_foreign_documents_are_refused(data, told):
    """With what is wrong, whatever the bytes."""
    with pytest.raises(ValueError, match=told):
        decode(data, 1.0)


def test_merging_takes_what_was_taught_last():
    """Per variant and for what all share; whoever is in one document only is kept."""
    ours = learned(a=variant(5.0, "new"), b=variant(9.0, "old"))
    theirs = learned(a=variant(6.0, "old"), b=variant(3.0, "new"), c=variant(1e5, "only"))
    for merged in (merge(ours, theirs), merge(theirs, ours)):
        assert {name: one.revision for name, one in merged.variants.items()} == {"a": "new", "b": "new", "c": "only"}
        assert merged.age_s == 3.0


def archive(place, wall=lambda: 1000.0) -> Archive:
    return Archive(place, wall=wall)


def test_a_file_survives_and_is_shared(tmp_path: Path):
    """What one archive saved the next one loads; two that write one after the other lose nothing of each other."""
    path = tmp_path / "learned.json"

    async def story() -> None:
        assert await archive(FilePlace(path)).load() == Learned()
        await archive(FilePlace(path)).save(learned(a=variant(2.0)))
        await archive(FilePlace(path)).save(learned(b=variant(1.0)))
        assert set((await archive(FilePlace(path)).load()).variants) == {"a", "b"}

    asyncio.run(story())
    assert [file.name for file in tmp_path.iterdir()] == ["learned.json"], "nothing is left beside it"


class Place:
    """A place in memory that fails on demand."""

    def __init__(self, data: bytes | None = None) -> None:
        self.name, self.data, self.errors, self.writes = "place p", data, [], 0

    async def read(self) -> bytes | None:
        return self.data

    async def write(self, data: bytes) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.data, self.writes = data, self.writes + 1


def test_only_news_is_written():
    """Unchanged knowledge, only older, writes nothing; neither does what was just loaded; a new lesson does."""
    now = [1000.0]

    async def story() -> None:
        place = Place()
        one = archive(place, lambda: now[0])
        await one.save(Learned())
        await one.save(learned(v=variant(1.0)))
        now[0] = 1030.0
        await one.save(learned(v=variant(31.0)))
        assert place.writes == 1
        again = archive(place, lambda: now[0])
        await again.save(await again.load())
        assert place.writes == 1
        await again.save(learned(v=variant(0.5)))
        assert place.writes == 2

    asyncio.run(story())


def test_a_conflict_is_merged_again():
    """Somebody wrote in between: read, merge and write again, three times at most."""

    async def story() -> None:
        place = Place()
        place.errors = [Conflict("changed"), Conflict("changed")]
        one = archive(place)
        await one.save(learned(v=variant()))
        assert (place.writes, one.describe()) == (1, "place p")
        place.errors = [Conflict("changed")] * 3
        other = archive(place)
        await other.save(learned(w=variant()))
        assert (place.writes, other.describe()) == (1, "place p: not written: changed")

    asyncio.run(story())


def test_what_cannot_be_kept_is_said_and_harmless(tmp_path: Path):
    """A damaged document is ignored and replaced; no permission and broken places show in `describe` until it works."""

    async def story() -> None:
        place = Place(b"garbage")
        one = archive(place)
        assert await one.load() == Learned()
        place.errors = [Unauthorized("forbidden"), UpstreamFailed("no API server")]
        await one.save(learned(v=variant()))
        assert one.describe() == "place p: not written: no permission"
        await one.save(learned(v=variant()))
        assert one.describe() == "place p: not written: no API server"
        await one.save(learned(v=variant()))
        assert (one.describe(), place.writes) == ("place p", 1)
        nowhere = archive(FilePlace(tmp_path))  # a folder
        assert await nowhere.load() == Learned()
        assert "not read" in nowhere.describe()
        off = archive(None)
        await off.save(learned(v=variant()))
        await off.follow(Learned)
        assert (await off.load(), off.describe()) == (Learned(), "not kept: switched off")

    asyncio.run(story())


def test_it_is_saved_every_half_minute(monkeypatch):
    """Following saves what is exported then, again and again."""
    monkeypatch.setattr(kept, "SAVE_EVERY_S", 0.001)

    async def story() -> None:
        place = Place()
        ages = iter((50.0, 40.0))
        done = asyncio.Event()

        def export() -> Learned:
            age_s = next(ages, None)
            if age_s is None:
                done.set()
            return learned(v=variant(age_s or 40.0))

        follower = asyncio.create_task(archive(place).follow(export))
        await asyncio.wait_for(done.wait(), 10)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        assert place.writes == 2

    asyncio.run(story())
