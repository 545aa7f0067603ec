"""What goes into an image of machines: the recipe, as data, and what carries it out (docs/reference/bake.md)."""
