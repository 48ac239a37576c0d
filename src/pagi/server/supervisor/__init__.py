"""Several worker processes behind the same listening sockets."""
