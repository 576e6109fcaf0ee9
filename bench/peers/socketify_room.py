"""uWebSockets (C++) under socketify's Python: one loop, topics, publish goes to everybody in the room, the speaker too."""

from socketify import App, CompressOptions

app = App()


def upgrade(response, request, socket_context):
    response.upgrade(
        request.get_header("sec-websocket-key"),
        request.get_header("sec-websocket-protocol"),
        request.get_header("sec-websocket-extensions"),
        socket_context,
        request.get_parameter(0),
    )


def opened(socket):
    socket.subscribe(socket.get_user_data())


def message(socket, text, opcode):
    app.publish(socket.get_user_data(), text, opcode)


app.ws(
    "/room/:room/",
    {
        "compression": CompressOptions.DISABLED,
        "max_backpressure": 16 * 1024 * 1024,
        "idle_timeout": 120,
        "upgrade": upgrade,
        "open": opened,
        "message": message,
    },
)
app.listen(
    {"port": 0, "host": "127.0.0.1"},
    lambda config: print(f"listening on http://127.0.0.1:{config.port}/", flush=True),
)
app.run()
