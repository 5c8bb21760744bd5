"""What solvers say to each other when there is no allocation."""


class NoAllocationError(Exception):
    """No allocation keeps the limits (`proven`), or none was found in the time there was."""

    def __init__(self, proven: bool) -> None:
        super().__init__("infeasible" if proven else "out of time")
        self.proven = proven
