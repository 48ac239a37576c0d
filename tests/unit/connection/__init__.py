"""The driver of a connection, with a transport that is not there."""
