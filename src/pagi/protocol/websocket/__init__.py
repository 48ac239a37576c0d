"""WebSocket without I/O, server side: RFC 6455 and RFC 7692."""
