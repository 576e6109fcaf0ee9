"""Which group of the channel layer is a room; Roomful counts in the same way."""

import base64
import hashlib
import re

# What Channels takes as the name of a group.
GROUP = re.compile(r"[a-zA-Z0-9._-]{1,99}")


def group_of(room):
    """The group called like the room, or, for names that no group can have, one that spells it in base64."""
    if GROUP.fullmatch(room) and not room.startswith("roomful."):
        return room
    spelled = f"roomful.u.{base64url(room.encode())}"
    if GROUP.fullmatch(spelled):
        return spelled
    return f"roomful.h.{base64url(hashlib.sha256(room.encode()).digest())}"


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
