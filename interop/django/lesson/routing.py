"""Which socket goes to which consumer."""

from django.urls import re_path

from lesson.consumers import ChatConsumer

websocket_urlpatterns = [re_path(r"room/(?P<group>\w+)/$", ChatConsumer.as_asgi())]
