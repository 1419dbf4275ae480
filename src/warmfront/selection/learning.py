"""From whom a selector learns, and to whom it hands on: its own requests, the selectors beside it, the one before it
and the one after it.

What may live here: who is taught what, and who is told of it. What must not: estimates (`knowledge.py`), choosing.
"""

from collections.abc import Mapping
from dataclasses import replace

from warmfront.domain import Lesson, PeerReport, Verdict
from warmfront.selection.knowledge import Environment
from warmfront.selection.learned import Learned, kept_share
from warmfront.selection.settings import SelectorSettings
from warmfront.selection.sharing import Sharing
from warmfront.selection.variants import NEVER, KnownVariant
from warmfront.selection.warmset.planner import Planner


class Learning:
    """Teaches the variants of `known`, a live view by name. `learned` is as of `learned_at` on the driver's clock."""

    def __init__(
        self, settings: SelectorSettings, *, environment: Environment, known: Mapping[str, KnownVariant],
        planner: Planner, learned: Learned, learned_at: float,
    ) -> None:  # fmt: skip
        self._environment = environment
        self._known = known
        self._planner = planner
        self._sharing = Sharing(settings)
        self.arrived = self._sharing.arrived  # (now, request), to be told to peers; on the hot path
        self._left = dict(learned.variants)  # by the earlier selector, of variants not seen yet
        self._left_at = learned_at
        environment.restore(learned, kept_share(learned.age_s, settings.learned_half_life_s))

    def met(self, known: KnownVariant, now: float) -> None:
        """A variant is seen for the first time: it takes over what the earlier selector learned of it."""
        left = self._left.pop(known.variant.name, None)
        if left is not None:
            known.inherit(left, self._left_at - left.age_s, now)

    def taught(self, known: KnownVariant, lesson: Lesson | Verdict, now: float) -> None:
        """One's own requests taught this: learn it, and tell peers with the next report."""
        self._sharing.taught(lesson)
        self._learn(known, lesson, now)

    def hear(self, report: PeerReport, now: float) -> None:
        """What a peer has in flight, and what its requests taught; variants or revisions not known here are skipped."""
        likeness = self._sharing.heard(report, now)
        for name, known in self._known.items():
            known.shared(report.peer, report.in_flight.get(name, 0), likeness, now)
        told: list[Lesson | Verdict] = [*report.lessons, *report.verdicts]
        for lesson in told:
            subject = self._known.get(lesson.variant)
            if subject is not None and subject.variant.revision == lesson.revision:
                if isinstance(lesson, Lesson):
                    subject.used_at = subject.asked_at = now
                self._learn(subject, lesson, now)

    def report(self, peer: str, now: float) -> PeerReport:
        """What this selector, named `peer`, has for its peers: now in flight, and new since the last report."""
        in_flight = {name: known.in_flight for name, known in self._known.items() if known.in_flight}
        return self._sharing.report(peer, in_flight, now)

    def export(self, now: float) -> Learned:
        """All that was learned, even of variants that were only heard of from an earlier selector."""
        passed_s = now - self._left_at
        variants = {name: replace(left, age_s=left.age_s + passed_s) for name, left in self._left.items()}
        for name, known in self._known.items():
            if known.taught_at > NEVER:
                variants[name] = known.knowledge.export(known.variant, now - known.taught_at)
        return self._environment.export(variants)

    def refresh(self) -> None:
        """Something that all variants share has changed: what was prepared is out of date."""
        for known in self._known.values():
            known.knowledge.refresh()

    def _learn(self, known: KnownVariant, lesson: Lesson | Verdict, now: float) -> None:
        known.taught_at = now
        if isinstance(lesson, Verdict):
            self._planner.judged(known.variant.task)
            for_all = known.knowledge.learn_accuracy(lesson)
        else:
            for_all = known.knowledge.learn_reply(lesson)
        if for_all:
            self.refresh()
