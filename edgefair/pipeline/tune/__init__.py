"""A budgeted search for the recipe with the least gap, on validation rows alone."""
