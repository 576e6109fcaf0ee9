"""The settings of a site that keeps nothing in a database: its rooms live in Redis."""

import os
import secrets

# Nothing here is signed for longer than the process lives.
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["daphne", "channels", "lesson"]
ROOT_URLCONF = "lesson.urls"
ASGI_APPLICATION = "lesson.asgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True

# The same Redis and the same of the two layers as Roomful's `--layer`; nothing else has to agree.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get("CHANNEL_LAYER", "channels_redis.core.RedisChannelLayer"),
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")]},
    }
}
