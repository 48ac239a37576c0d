"""One application in each framework; all have the same addresses (see `common`)."""
