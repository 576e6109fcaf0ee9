"""A member of a room on a socket that Django serves. What is said travels through the channel layer to all processes."""

from collections import deque

from asgiref.sync import async_to_sync
from channels.exceptions import StopConsumer
from channels.generic.websocket import WebsocketConsumer

from lesson.groups import group_of


class ChatConsumer(WebsocketConsumer):
    def websocket_connect(self, message):
        self.group = group_of(self.scope["url_route"]["kwargs"]["group"])
        # Ids that programs gave their messages: Roomful repeats such a message once, with its number.
        self.shown = deque(maxlen=100)
        async_to_sync(self.channel_layer.group_add)(self.group, self.channel_name)
        self.accept()

    def websocket_receive(self, message):
        async_to_sync(self.channel_layer.group_send)(self.group, {"type": "xx.oo", "message": message})

    def websocket_disconnect(self, message):
        async_to_sync(self.channel_layer.group_discard)(self.group, self.channel_name)
        raise StopConsumer()

    def xx_oo(self, event):
        """Somebody on a socket of Django's said something."""
        self.send(event["message"]["text"])

    def chat_message(self, event):
        """Somebody in Roomful said something, or a program did."""
        # `node` is the Roomful node that passes a message on; authors who are no members of it have ids with `x-`.
        outside = "node" not in event or event["from"]["id"].startswith("x-")
        if outside and "id" in event:
            if event["id"] in self.shown:
                return
            self.shown.append(event["id"])
        self.send(event["text"])

    def not_for_us(self, event):
        """Channels ends a consumer that gets an event for which it has no method."""

    chat_edited = chat_deleted = chat_reacted = chat_topic = not_for_us
