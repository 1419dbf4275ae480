"""Builders that every test of the selection shares."""

import random
from dataclasses import replace

import pytest

from warmfront.domain import Decision, Feedback, Observation, Outcome, Profile, Request, Spread, Status, Variant
from warmfront.selection.policies import POLICIES
from warmfront.selection.selector import Selector, SelectorSettings

LAPTOP = SelectorSettings(platform_start_s=Spread(p50=0.05, p95=0.1))


class Lab:
    """Makes variants, requests and selectors in one line each."""

    settings = LAPTOP

    def profile(self, accuracy=0.8, execution=0.01, start=1.0, **more) -> Profile:
        return Profile(
            accuracy=accuracy,
            latency_s=Spread(p50=execution, p95=2 * execution),
            cold_start_s=Spread(p50=start, p95=1.5 * start),
            **{"memory_mb": 100.0, **more},
        )

    def seen(self, name="v", profile=None, revision="r1", task="t", concurrency=4, **observed) -> Observation:
        variant = Variant(
            name=name, task=task, revision=revision, url=f"http://{name}", concurrency=concurrency,
            profile=self.profile() if profile is None else profile,
        )  # fmt: skip
        return Observation(variant=variant, **observed)

    def selector(self, *observations, policy="effective", seed=1, settings=None, now=0.0) -> Selector:
        built = POLICIES[policy](rng=random.Random(seed))
        selector = Selector(policy=built, settings=settings or self.settings)
        for observation in observations:
            selector.update(observation, now)
        return selector

    def request(self, id_="q", budget=1.0, at=0.0, size=100, **more) -> Request:
        deadline = None if budget is None else at + budget
        return Request(id=id_, task="t", size_bytes=size, arrival_at=at, deadline_at=deadline, **more)

    def send(self, selector, request, now=None) -> Decision:
        now = request.arrival_at if now is None else now
        decision = selector.decide(request, now)
        selector.started(decision, now)
        return decision

    def reply(self, selector, decision, seconds, now=None, status=Status.OK, **more) -> None:
        outcome = Outcome(decision_id=decision.id, status=status, latency_s=seconds, upstream_s=seconds, **more)
        selector.observe(outcome, decision.request.arrival_at + seconds if now is None else now)

    def feedback(self, selector, decision, correct, now=0.0) -> None:
        selector.observe(Feedback(decision_id=decision.id, correct=correct), now)

    def numbers(self, selector, name, now=0.0, **more):
        """The candidate of this name for a request."""
        decision = selector.decide(self.request(at=now, **more), now)
        return next(c for c in decision.alternatives if c.variant.name == name)

    def changed(self, observation, **changes) -> Observation:
        return replace(observation, **changes)


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The builders."""
    return Lab()
