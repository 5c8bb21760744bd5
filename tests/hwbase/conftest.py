"""Hypothesis without deadlines: the first use of units loads their registry."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
