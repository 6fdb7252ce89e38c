"""An articulated person in 3-D, and a camera (the sample data set's people, see people.py).

Frames: a body's x is to its left, y up, z forward; a camera's x is to the image's right, y up,
z towards the camera. So a person who faces the camera has the left side at the image's right.
Lengths are in units of the body's height. Angles and their signs: lib/data/sample/activities.py.
"""

import numpy as np

from lib.data.skeleton import FLIP, NAMES

# Segment lengths: Drillis and Contini (1966), as in Winter, Biomechanics and Motor Control of
# Human Movement, figure 4.1: hips at a height of .530, shoulders at .818, chin at .870. Its
# breadths (shoulders .259, hips .191) are of the whole body; the joints lie about .02 further in.
BONES = {
    "shoulder": 0.109, "hip": 0.076, "trunk": 0.288, "neck": 0.052, "head": 0.130,
    "upper arm": 0.186, "forearm": 0.146, "hand": 0.108, "thigh": 0.245, "shank": 0.246,
    "foot": 0.152,
}  # fmt: skip
BONE_SPREAD = 0.04  # standard deviation among people, relative to the length; at most twice that
JOINTS = {  # of each limb, and the bone that leads to it
    "arm": {"shoulder": "shoulder", "elbow": "upper arm", "wrist": "forearm"},
    "leg": {"hip": "hip", "knee": "thigh", "ankle": "shank"},
}

# Places on the head in units of its height, from the top of the neck.
HEAD = {
    "nose": (0, 0.38, 0.62), "left eye": (0.15, 0.55, 0.50), "right eye": (-0.15, 0.55, 0.50),
    "left ear": (0.35, 0.47, 0), "right ear": (-0.35, 0.47, 0), "head top": (0, 1, 0.05),
}  # fmt: skip
LOOKS = np.radians([0, 20, -20, 90, -90])  # where nose, eyes and ears face, from the front to left
TURNED_AWAY = np.array([-0.1, -0.1, -0.1, -0.25, -0.25])  # ears stick out: seen from behind too

# What a box encloses besides the 17 keypoints, and the radius of the flesh about each point.
POINTS = (*NAMES, "head top", "left hand", "right hand",
          "left toe", "right toe", "left heel", "right heel")  # fmt: skip
SWAP = np.array([*FLIP, 17, 19, 18, 21, 20, 23, 22])  # where each point goes in a mirror
RADIUS = np.array([0.045] * 5 + [0.05] * 2 + [0.03] * 4 + [0.06] * 2 + [0.04] * 4
                  + [0.01, 0.01, 0.01, 0.015, 0.015, 0.015, 0.015])  # fmt: skip


def rotation(axis: str, degrees: np.ndarray) -> np.ndarray:
    """Right-handed rotations (N, 3, 3) about "x", "y" or "z" by ``degrees`` (N,)."""
    angle = np.radians(degrees)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    matrix[:, i, i] = matrix[:, j, j] = np.cos(angle)
    matrix[:, j, i], matrix[:, i, j] = np.sin(angle), -np.sin(angle)
    return matrix


def draw_bones(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Lengths (n,) of every bone, left and right alike, body heights."""
    draw = np.clip(rng.standard_normal((len(BONES), n)), -2, 2)
    pairs = zip(BONES.items(), draw, strict=True)
    return {name: length * (1 + BONE_SPREAD * part) for (name, length), part in pairs}


def skeleton(angles: np.ndarray, bones: dict) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics, from the middle of the hips outwards.

    From ``angles`` (N, 24), degrees in the order of ``activities.pose``, and a length (N,) for each
    of BONES: POINTS (N, 24, 3) and the rotation of the head (N, 3, 3), both in the body's frame.
    """

    def step(frame, direction, length):
        """(N, 3): ``direction`` (3,) or (N, 3) of ``frame``, as long as ``length`` (N,)."""
        direction = np.broadcast_to(np.asarray(direction, dtype=float), (len(angles), 3))
        return (frame @ (direction * length[:, None])[..., None])[..., 0]

    body, spine, face = angles[:, 0:2].T, angles[:, 2:5].T, angles[:, 5:8].T
    pelvis = rotation("z", -body[1]) @ rotation("x", body[0])
    trunk = pelvis @ rotation("z", -spine[1]) @ rotation("x", spine[0]) @ rotation("y", spine[2])
    head = trunk @ rotation("y", face[2]) @ rotation("x", face[0]) @ rotation("z", -face[1])
    chest = step(trunk, (0, 1, 0), bones["trunk"])
    neck = chest + step(trunk, (0, 1, 0.2), bones["neck"])
    at = {name: neck + step(head, place, bones["head"]) for name, place in HEAD.items()}

    limbs = angles[:, 8:].reshape(-1, 4, 4).transpose(1, 2, 0)  # (4 limbs, 4 angles, N)
    names = ((side, limb) for limb in ("arm", "leg") for side in ("left", "right"))
    for (side, limb), (up, plane, out, bend) in zip(names, limbs, strict=True):
        mirror = np.array([1 if side == "left" else -1, 1, 1])  # right: the left one in a mirror
        turned = rotation("y", plane) @ rotation("x", -up) @ rotation("y", out - plane)
        bent = turned @ rotation("x", -bend if limb == "arm" else bend)
        upper, lower = -turned[..., 1] * mirror, -bent[..., 1] * mirror
        front = bent[..., 2] * mirror
        place, base = (chest, trunk) if limb == "arm" else (0, pelvis)
        ways = (mirror[0], 0, 0), upper, lower
        for (joint, bone), way in zip(JOINTS[limb].items(), ways, strict=True):
            place = at[f"{side} {joint}"] = place + step(base, way, bones[bone])
        if limb == "arm":
            at[f"{side} hand"] = place + step(base, lower, 0.8 * bones["hand"])  # half closed
        else:
            sole = place + step(base, lower, 0.2 * bones["foot"])  # square to the shank
            at[f"{side} toe"] = sole + step(base, front, 0.75 * bones["foot"])
            at[f"{side} heel"] = sole - step(base, front, 0.25 * bones["foot"])
    return np.stack([at[name] for name in POINTS], axis=1), head


def mirrored(points: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The left-handed twin of a skeleton (N, 24, 3) and its head (N, 3, 3)."""
    flip = np.array([-1, 1, 1])
    return points[:, SWAP] * flip, head * flip[:, None] * flip


def photograph(
    points: np.ndarray, head: np.ndarray, azimuth, elevation, roll, distance
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a camera sees of skeletons, and which keypoints their own bodies hide.

    Of POINTS (N, 24, 3) and head (N, 3, 3) in the body's frame, which faces ``azimuth`` (0: the
    camera, 90: the image's right), from ``elevation`` above, ``roll`` about the camera's axis (all
    (N,), degrees) and ``distance`` (N,), body heights to the hips. Returns (N, 24, 2) x to the
    right, y down, body heights at the hips' distance; (N, 17) whether a part of the face is turned
    away from the camera; (N, 17) whether a keypoint is behind the trunk or a thigh.
    """
    view = rotation("z", roll) @ rotation("x", elevation) @ rotation("y", azimuth)
    points = points @ view.transpose(0, 2, 1)  # (N, 24, 3)
    depth = points[..., 2]
    xy = points[..., :2] * [1, -1] / (1 - depth / distance[:, None])[..., None]

    looks = np.stack([np.sin(LOOKS), np.zeros(5), np.cos(LOOKS)], axis=1)  # (5, 3)
    towards = (view @ head)[:, 2] @ looks.T  # (N, 5): 1 facing the camera, -1 turned away
    away = np.pad(towards < TURNED_AWAY, ((0, 0), (0, 12)))  # (N, 17)

    shoulders, hips = (points[:, [i, i + 1]].mean(axis=1) for i in (5, 11))  # left, right
    thighs = [(points[:, i], points[:, i + 2], 0.045) for i in (11, 12)]  # hip to knee
    behind = np.zeros_like(away)
    for a, b, radius in ((shoulders, hips, 0.075), *thighs):
        along, start = (b - a)[:, None], points[:, :17] - a[:, None]
        part = (start[..., :2] * along[..., :2]).sum(2) / (along[..., :2] ** 2).sum(2).clip(1e-6)
        off = start - part.clip(0, 1)[..., None] * along  # from the nearest point of the axis
        behind |= (np.hypot(off[..., 0], off[..., 1]) < radius) & (off[..., 2] < -0.8 * radius)
    return xy, away, behind & ~away
