"""The application's side of a request, with a stream that is not there."""
