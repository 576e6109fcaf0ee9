"""A room's page, on the path of its socket."""

from django.shortcuts import render
from django.urls import re_path


def room(request, group):
    return render(request, "room.html", {"group": group})


urlpatterns = [re_path(r"^room/(?P<group>\w+)/$", room)]
