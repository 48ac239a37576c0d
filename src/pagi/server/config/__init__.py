"""Configuration: every option stated once, read from four places, frozen, handed down in slices."""
