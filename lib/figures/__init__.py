"""Every figure of the book; a notebook imports this and shows the figure as a cell's value."""
# ruff: noqa: F401

from lib.figures.curves import (
    by_size,
    distance_histograms,
    loss_curves,
    nearest_histograms,
    norms,
    preferences,
)
from lib.figures.poses import (
    annotated_image,
    caption_grid,
    caption_interpolation,
    compare_grids,
    noise_interpolation,
    pose_grid,
    pose_sheet,
)
