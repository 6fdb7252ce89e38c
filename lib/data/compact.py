"""A smaller copy of a cache, for a machine that only trains.

Keypoints become 16-bit numbers where that loses nothing (COCO's are whole pixels), and captions of
other images than the pairs' are left out, so that a run must draw its mismatching captions
from those of the pairs (``caption_pool``). Fingerprints stay: a run has the same identity with
either cache.
"""

from pathlib import Path

import numpy as np
from safetensors import safe_open

from lib.data.cache import cache_path, load, save
from lib.data.coco import SPLITS

WHOLE = ("boxes", "person_ids", "image_ids", "image_sizes", "activity", "pair_pose", "pair_count")


def compact(data: str, out: Path) -> int:
    """Writes the smaller copy of prepared data.

    Args:
        data: "sample", "coco" or the path of a cache.
        out: the file to write.
    Returns:
        Its size in bytes.
    Raises:
        InputError: as :func:`lib.data.cache.load`; the file cannot be written.
    """
    dataset, arrays = load(data), {}
    with safe_open(cache_path(data), framework="numpy") as file:
        for name, split in zip(SPLITS, (dataset.train, dataset.val), strict=True):
            rows = split.pair_rows
            texts = [split.captions[row] for row in rows.tolist()]
            own = {key: file.get_tensor(f"{name}.{key}") for key in WHOLE}
            own["keypoints"] = _short(split.keypoints)
            own["pair_first"] = (split.pair_count.cumsum(0) - split.pair_count).numpy()
            own["captions"] = np.frombuffer("\n".join(texts).encode(), np.uint8)
            for key in ("caption_images", "vectors"):
                own[key] = file.get_tensor(f"{name}.{key}")[rows.numpy()]
            arrays |= {f"{name}.{key}": value for key, value in own.items()}
    save(out, arrays, dataset.meta | {"compact": True})
    return out.stat().st_size


def _short(values: np.ndarray) -> np.ndarray:
    """Whole numbers as int16, where they are whole and small enough; otherwise as they are."""
    short = values.astype(np.int16)
    return short if np.array_equal(short, values) else values
