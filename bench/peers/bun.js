// Bun's own WebSocket server (uWebSockets inside) with its topics: publish goes to everybody in the room, the speaker too.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const room = new URL(request.url).pathname;
    if (server.upgrade(request, { data: { room } })) return undefined;
    return new Response("a WebSocket is expected\n", { status: 400 });
  },
  websocket: {
    open(socket) {
      socket.subscribe(socket.data.room);
    },
    message(socket, message) {
      server.publish(socket.data.room, message);
    },
  },
});
console.log(`listening on http://127.0.0.1:${server.port}/`);
