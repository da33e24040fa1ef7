"""What all tests share."""

from hypothesis import settings

# A slow moment of a shared machine is no failure of what a property states.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
