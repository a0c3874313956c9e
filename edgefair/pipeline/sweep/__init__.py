"""A grid of recipes, each cell a run folder of its own: expanded, worked off by processes or a cluster, and tabled."""
