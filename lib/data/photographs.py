"""COCO's photographs, where a reader has put them; the annotations do not hold them."""

import numpy as np

from lib import paths


def photograph(image_id: int, split: str = "val") -> np.ndarray | None:
    """The image (height, width, 3) of data/coco/{split}2017, or None where it is not at hand."""
    path = paths.COCO / f"{split}2017" / f"{int(image_id):012d}.jpg"
    if not path.is_file():
        return None
    from matplotlib.image import imread

    return imread(path)
