"""ARC: a few pairs of grids show a rule, and a test input asks what the rule makes of it."""
