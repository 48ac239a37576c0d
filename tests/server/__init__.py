"""The running server, over real sockets."""
