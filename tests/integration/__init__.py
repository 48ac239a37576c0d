"""The server together with what people use: frameworks, clients, a browser, a fresh clone."""
