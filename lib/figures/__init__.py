"""Every figure of the book; a notebook imports this and shows the figure as a cell's value."""

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

__all__ = [
    "annotated_image",
    "caption_grid",
    "caption_interpolation",
    "compare_grids",
    "distance_histograms",
    "loss_curves",
    "noise_interpolation",
    "norms",
    "pose_grid",
    "pose_sheet",
    "preferences",
    "retrieval_histogram",
]
