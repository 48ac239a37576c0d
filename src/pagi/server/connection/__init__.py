"""Drivers: they join a transport, a machine and the exchanges, and implement the `Stream` port."""
