"""The image that machines start from: its recipe as data, and the files that carry it out (docs/reference/bake.md)."""
