"""Noticing that errors have become more or fewer, sooner than fading means would show it."""

from math import log

from warmfront.selection.learned import Errors

TIMES = (4.0, 0.25)  # the odds of an error, as a change of which it is looked for
SURE = 8.0  # logarithm of how many times likelier the change has to be than none


class Watch:
    """Tells when a change began, by Page's cumulative sums ("Continuous inspection schemes", Biometrika 1954).

    A sum adds up how much likelier each answer is after the change than by what was believed, and begins anew at zero.
    """

    def __init__(self) -> None:
        self._sums = [_Sum(times) for times in TIMES]

    def observe(self, believed: float, expected: float, observed: float) -> Errors | None:
        """One judged answer, wrong by `observed` in [0, 1], for which errors of the share `believed` in (0, 1) were
        believed and `expected` declared. All since the change, if it is sure now that there was one; else None.
        """
        for one in self._sums:
            if one.observe(believed, expected, observed) > SURE:
                self._sums = [_Sum(times) for times in TIMES]
                return one.since
        return None


class _Sum:
    __slots__ = ("_log_times", "_sum", "_times", "since")

    def __init__(self, times: float) -> None:
        self._times, self._log_times = times, log(times)
        self._sum = 0.0
        self.since = Errors()

    def observe(self, believed: float, expected: float, observed: float) -> float:
        self._sum += observed * self._log_times - log(1 - believed + self._times * believed)
        if self._sum <= 0:
            self._sum, self.since = 0.0, Errors()
        else:
            self.since = Errors(self.since.expected + expected, self.since.observed + observed)
        return self._sum
