"""A small site with chat rooms, as one builds it with Django and Channels."""
