"""Somebody who only says things, by HTTP POST, with what Python has itself.

Usage: http_client.py [http://HOST/api/rooms/ROOM/messages [NAME]], or the address in ROOMFUL_URL.

Each line of standard input is said. What has no answer, or one that promises nothing (503), is said again under the same id
and with the token of the first answer. Printed, one JSON object a line: {"status": STATUS, "event": EVENT}.
"""

import http.client
import json
import os
import secrets
import sys
import time
from urllib.parse import urlsplit

from lines import report

RETRY_SECONDS = 0.05


class Speaker:
    def __init__(self, url, name):
        self.url = urlsplit(url)
        self.name = name
        self.headers = {"Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection(self.url.netloc, timeout=10)

    def say(self, message_id, text):
        body = json.dumps({"id": message_id, "name": self.name, "text": text}).encode()
        while True:
            try:
                self.connection.request("POST", self.url.path, body, self.headers)
                response = self.connection.getresponse()
                answer = json.loads(response.read())
                if response.status != 503:
                    break
            except (OSError, http.client.HTTPException, ValueError):
                self.connection.close()
            time.sleep(RETRY_SECONDS)
        if "you" in answer:
            self.headers["Authorization"] = "Bearer " + answer["you"]["token"]
        report({"status": response.status, "event": answer})


def main(url, name):
    speaker = Speaker(url, name)
    run = secrets.token_hex(4)
    for number, line in enumerate(sys.stdin, start=1):
        speaker.say(f"{run}-{number}", line.rstrip("\n"))


arguments = sys.argv[1:] or [os.environ["ROOMFUL_URL"]]
main(arguments[0], arguments[1] if len(arguments) > 1 else "HTTP")
