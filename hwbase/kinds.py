"""Where a number comes from, in one word."""

from typing import Literal

Kind = Literal["paper", "vendor", "analyst", "measured", "derived", "assumed", "fitted", "user"]
