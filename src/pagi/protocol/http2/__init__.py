"""HTTP/2 (RFC 9113) without I/O, server side, on top of libnghttp2."""
