"""Server-Sent Events without I/O: the ``text/event-stream`` format (WHATWG HTML §9.2)."""
