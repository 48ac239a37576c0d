"""A chat room: whoever says something is heard by all.

Shows: WebSockets with a subprotocol, refusing those without, clients that leave.

Run it:  pagi run examples.websocket_chat:app
Look at it:  http://127.0.0.1:8000/ in two windows
"""

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Chat</title>
<form><input autofocus> <button>Say</button></form><ol></ol>
<script>
const socket = new WebSocket(location.href.replace("http", "ws"), "chat");
const say = (text) => document.querySelector("ol").append(
    Object.assign(document.createElement("li"), {textContent: text}));
socket.onmessage = (event) => say(event.data);
socket.onclose = (event) => say(`closed: ${event.code} ${event.reason}`);
document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    const input = event.target.querySelector("input");
    socket.send(input.value);
    input.value = "";
};
</script>"""

members = set()


async def app(scope, receive, send):
    """Serve the page, and the room."""
    if scope["type"] == "websocket":
        await room(scope, receive, send)
    elif scope["type"] == "http":
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE})
    else:
        raise NotImplementedError(scope["type"])


async def room(scope, receive, send):
    """Be a member of the room until the client leaves."""
    assert (await receive())["type"] == "websocket.connect"
    if "chat" not in scope["subprotocols"]:
        await send({"type": "websocket.close"})  # before the accept: refused with 403
        return
    await send({"type": "websocket.accept", "subprotocol": "chat"})
    members.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            await tell_all(message.get("text") or "")
    finally:
        members.discard(send)


async def tell_all(text):
    """Send a text to every member; one who has just left hears nothing."""
    for member in tuple(members):
        try:
            await member({"type": "websocket.send", "text": text})
        except OSError:
            members.discard(member)
