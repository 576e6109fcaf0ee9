"""Channel layers on Redis: `roomful layer` on one side, the real `channels_redis` on the other."""
