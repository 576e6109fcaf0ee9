"""`manage.py say ROOM TEXT [--id ID]`: the site itself says something in a room."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand

from lesson.groups import group_of


class Command(BaseCommand):
    help = "Says something in a room, to its members on Django and on Roomful."

    def add_arguments(self, parser):
        parser.add_argument("room")
        parser.add_argument("text")
        parser.add_argument("--id", help="Roomful stores what has an id, once however often it is said")

    def handle(self, *, room, text, id, **options):
        event = {"type": "chat.message", "text": text, "name": "Site"}
        if id is not None:
            event["id"] = id
        async_to_sync(get_channel_layer().group_send)(group_of(room), event)
