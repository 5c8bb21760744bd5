"""The state of every request during a simulation."""

from array import array

from hwsim.events.results import STATES
from hwsim.events.traffic import Traffic

FINISHED, CANCELLED, REJECTED, FAILED, UNFINISHED = range(len(STATES))


class Ledger:
    """Times and tokens of every request of a traffic, (requests,) each; times in s, NaN before they happen."""

    def __init__(self, traffic: Traffic) -> None:
        n = len(traffic)
        self.prompt = array("q", traffic.prompt_tokens.tolist())
        self.output = array("q", traffic.output_tokens.tolist())
        self.priority = array("q", traffic.priority.tolist())
        self.patience = array("d", traffic.cancel_s.tolist())
        self.arrival, self.admitted, self.first, self.end = (array("d", [float("nan")]) * n for _ in range(4))
        self.generated = array("q", [0]) * n
        self.state = array("b", [UNFINISHED]) * n
        self.closed = 0

    def close(self, request: int, state: int, now: float) -> None:
        """Record the end of a request, which happens once.

        Where the machine finds a user's leave at the end of a step, an answer that is complete only then is cancelled,
        and a first token of that step did not reach the user.
        """
        if self.state[request] != UNFINISHED:
            raise RuntimeError(f"request {request} ended twice")
        left = self.arrival[request] + self.patience[request]
        if state == FINISHED and now > left:
            state = CANCELLED
        if state == CANCELLED and self.first[request] > left:
            self.first[request], self.generated[request] = float("nan"), 0
        self.state[request], self.end[request] = state, now
        self.closed += 1
