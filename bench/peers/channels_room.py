"""Django Channels with its in-memory layer under daphne: the consumer of its tutorial, with text instead of JSON."""

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    # By default a member has room for 100 events, and what comes on top of that is dropped. Nothing may be lost here.
    CHANNEL_LAYERS={
        "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1_000_000}}
    },
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from daphne.server import Server
from django.urls import path


class Room(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = f"room_{self.scope['url_route']['kwargs']['room']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send(self.group, {"type": "chat.message", "text": text_data})

    async def chat_message(self, event):
        await self.send(text_data=event["text"])

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)


application = ProtocolTypeRouter({"websocket": URLRouter([path("room/<room>/", Room.as_asgi())])})


class Loud(Server):
    """Says where it listens."""

    def listen_success(self, port):
        print(f"listening on http://127.0.0.1:{port.getHost().port}/", flush=True)


Loud(application, endpoints=["tcp:port=0:interface=127.0.0.1"], verbosity=0).run()
