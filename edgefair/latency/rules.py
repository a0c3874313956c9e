"""When enough was measured: MLPerf's minimum of queries and of time, whole or in a short form for CI."""

import math
from dataclasses import asdict, dataclass

ROUNDS = 16  # what an interval of ratios is drawn from; a multiple of it is a short run's 256 queries

SINGLE_STREAM, OFFLINE = "single-stream", "offline"
# (minimum of queries in single-stream or of images in offline, minimum of seconds) of each artefact
SHORT = {SINGLE_STREAM: (256, 10.0), OFFLINE: (1024, 10.0)}
MLPERF = {SINGLE_STREAM: (64, 600.0), OFFLINE: (24_576, 600.0)}


@dataclass(frozen=True)
class Rules:
    """How long each artefact is measured at each batch size, in how many rounds, after how many calls of warm-up.

    single-stream: the next query is sent when the previous one is done; what counts is the latency of a query.
    offline: all images are there at the start, and are taken in batches; what counts is images per second.
    """

    scenario: str = SINGLE_STREAM
    minimum: int = 256  # queries in single-stream, images in offline
    seconds: float = 10.0
    rounds: int = ROUNDS
    warmup: int = 10

    def calls(self, batch: int) -> int:
        """Calls of one round: a round's share of the minimum."""
        images = batch if self.scenario == OFFLINE else 1
        return math.ceil(self.minimum / (images * self.rounds))

    @property
    def slice_seconds(self) -> float:
        """A round's share of the time."""
        return self.seconds / self.rounds

    def to_dict(self) -> dict:
        """JSON values; mlperf says whether the full rules were kept."""
        minimum, seconds = MLPERF[self.scenario]
        return asdict(self) | {"mlperf": self.minimum >= minimum and self.seconds >= seconds}


def headline(scenario: str) -> str:
    """The statistic that a scenario is about: the median latency of a query, or the mean (throughput)."""
    return "mean" if scenario == "offline" else "p50"
