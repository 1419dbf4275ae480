"""One try of a simulated request, on its way to a station and back. What must not live here: deciding, time."""

from warmfront.domain import Decision
from warmfront.experiments.simulation.station import Job, Station
from warmfront.experiments.simulation.world import Case


class Passage:
    """`station` is None when the chosen variant is there no more; `other` is the try beside it, if there is one.

    `over` once it was answered, failed or given up.
    """

    __slots__ = ("case", "decision", "index", "job", "other", "over", "sent_at", "station")

    def __init__(self, case: Case, index: int, decision: Decision, station: Station | None, sent_at: float) -> None:
        self.case = case
        self.index = index
        self.decision = decision
        self.station = station
        self.sent_at = sent_at
        self.job: Job | None = None
        self.other: Passage | None = None
        self.over = False

    @property
    def rivalled(self) -> bool:
        """Whether another try of the same request is still under way."""
        return self.other is not None and not self.other.over
