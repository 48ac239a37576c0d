"""One request's application side, whatever version of HTTP carries it.

An exchange calls the application, turns its messages into calls on a `Stream` (the port that a
driver implements) and the stream's news into messages. Nothing here knows HTTP/1 from HTTP/2.
"""
