"""A network and the recipe it is trained with, in no framework's terms."""
