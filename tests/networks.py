"""HRM as the fixtures and small tests have it; at full size it is a recipe, hrm-sudoku."""

HRM = {"layers": 4, "y_layers": 4, "T": 2, "n": 2, "with_gradient": 1, "prefix": 1}
