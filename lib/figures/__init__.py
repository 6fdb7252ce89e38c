"""Every figure of the book; a notebook imports this and shows the figure as a cell's value."""
# ruff: noqa: F401

from lib.figures.curves import (
    distance_histograms,
    loss_curves,
    norms,
    preferences,
    retrieval_histogram,
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
