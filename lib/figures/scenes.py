"""A generated person as a scene (Figure 1): the sample data have no photographs, but they know
where joints are and what the person does. Nothing here is data: captions and keypoints stay as
they are.

Places are image pixels with y down, as an array (17, 3) of keypoints; lengths are body heights.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Polygon, Rectangle

from lib.data.sample.activities import CLOTHES, COLOURS
from lib.data.sample.body import BONES
from lib.data.skeleton import NAMES

SKIN, HAIR, SHIRT, TROUSERS, SHOES = "#e0ac84", "#4a3426", "#3f6fb0", "#39404d", "#1d1f24"
METAL, WOOD, RUBBER = "#8d949e", "#a5713f", "#22252a"
LIMBS = {  # from joint to joint: width, and whether it is bare
    "arm": (("shoulder", "elbow", 0.055, False), ("elbow", "wrist", 0.042, True)),
    "leg": (("hip", "knee", 0.085, False), ("knee", "ankle", 0.06, False)),
}
MEASURED = (  # what tells how tall somebody is: the longest of these, since all are foreshortened
    ("shoulder", "elbow", "upper arm"), ("elbow", "wrist", "forearm"), ("shoulder", "hip", "trunk"),
    ("hip", "knee", "thigh"), ("knee", "ankle", "shank"),
)  # fmt: skip
GROUNDS = {  # above and below the horizon
    "surfing": ("#bfe3f2", "#2f7fb0"), "skiing": ("#a9cbe8", "#f2f6fa"),
    "tennis": ("#bcd9ea", "#4f8a5b"), "table": ("#e8dcc8", "#b99a78"),
    "phone": ("#dfe4ea", "#b7bcc4"), "skateboarding": ("#c6dcea", "#a3a7ad"),
    "motorcycle": ("#c6dcea", "#7d828a"), "posing": ("#dfe4ea", "#b7bcc4"),
}  # fmt: skip
OUTSIDE = ("#c3e0f0", "#86b36b")


@dataclass(frozen=True)
class Person:
    """Whoever is drawn: keypoints by name, the height of a body in pixels, and the way it faces, 1
    to the image's right, -1 to its left."""

    at: dict[str, np.ndarray]
    height: float
    way: int

    @classmethod
    def seen(cls, keypoints: np.ndarray) -> "Person":
        """The person of keypoints (17, 3); those that nobody labelled are missing."""
        labelled = zip(NAMES, keypoints, strict=True)
        at = {name: np.array(k[:2], float) for name, k in labelled if k[2] > 0}
        heights = [1.0]
        for a, b, bone in MEASURED:
            for side in ("left", "right"):
                if {f"{side} {a}", f"{side} {b}"} <= at.keys():
                    length = np.linalg.norm(at[f"{side} {a}"] - at[f"{side} {b}"])
                    heights.append(length / BONES[bone])
        knees = [at[f"{s} knee"] - at[f"{s} hip"] for s in ("left", "right")
                 if {f"{s} knee", f"{s} hip"} <= at.keys()]  # fmt: skip
        ears = [at[name] for name in ("left ear", "right ear") if name in at]
        if "nose" in at and ears:
            forward = (at["nose"] - np.mean(ears, axis=0))[0]
        else:
            forward = sum(knee[0] for knee in knees)
        return cls(at, max(heights), 1 if forward >= 0 else -1)

    def middle(self, *names: str) -> np.ndarray | None:
        """The mean (2,) of those keypoints, left and right alike, that are there."""
        found = [place for name, place in self.at.items() if name.split()[-1] in names]
        return np.mean(found, axis=0) if found else None

    def place(self, around: np.ndarray, *lengths: tuple[float, float]) -> np.ndarray:
        """Places (n, 2) at ``lengths`` forward and down from one."""
        return around + np.array(lengths) * (self.way * self.height, self.height)


@dataclass(frozen=True)
class Pen:
    """Draws on axes in pixels; widths are body heights of the person."""

    ax: Axes
    person: Person

    def points(self, width: float) -> float:
        """A width in points of a line."""
        inches = self.ax.get_window_extent().width / self.ax.figure.dpi
        return width * self.person.height * 72 * inches / np.ptp(self.ax.get_xlim())

    def put(self, artist: Artist) -> None:
        """Over all that has been drawn."""
        artist.set_zorder(1 + 0.001 * len(self.ax.get_children()))
        self.ax.add_artist(artist)

    def line(self, places: Sequence, colour: str, width: float) -> None:
        look = dict(color=colour, lw=self.points(width))
        round_ = dict(solid_capstyle="round", solid_joinstyle="round")
        self.put(Line2D(*np.transpose(places), **look, **round_))

    def area(self, places: Sequence, colour: str) -> None:
        self.put(Polygon(places, facecolor=colour, lw=0))

    def oval(self, centre, size: tuple[float, float], colour: str, angle=0.0, rim=0.0) -> None:
        width, height = np.array(size) * self.person.height
        look = dict(facecolor=colour, edgecolor=RUBBER, lw=self.points(rim))
        self.put(Ellipse(centre, width, height, angle=angle, **look))


def _hand(person: Person, near: str) -> tuple[np.ndarray, np.ndarray] | None:
    """A wrist and the unit vector of its forearm: of the arm that reaches farthest from, or with
    ``near`` "head" nearest to, the head."""
    found, head = [], person.middle("nose", "eye", "ear")
    for side in ("left", "right"):
        if {f"{side} wrist", f"{side} elbow"} <= person.at.keys() and head is not None:
            wrist, along = person.at[f"{side} wrist"], 0
            along = wrist - person.at[f"{side} elbow"]
            found.append((np.linalg.norm(wrist - head), wrist, along / np.hypot(*along).clip(1)))
    if not found:
        return None
    return (min if near == "head" else max)(found, key=lambda each: each[0])[1:]


def _racket(pen: Pen, person: Person) -> None:
    if hand := _hand(person, "far"):
        wrist, along = hand
        size = person.height
        pen.line([wrist, wrist + 0.2 * size * along], RUBBER, 0.02)
        angle = np.degrees(np.arctan2(*along[::-1]))
        pen.oval(wrist + 0.31 * size * along, (0.24, 0.17), "#ffffff70", angle, rim=0.015)
        pen.oval(wrist + 0.55 * size * along, (0.045, 0.045), "#d8e63c")


def _bat(pen: Pen, person: Person) -> None:
    hands = person.middle("wrist")
    if hands is not None and (hand := _hand(person, "far")):
        end = hands + 0.48 * person.height * hand[1]
        pen.line([hands, end], WOOD, 0.025)
        pen.line([(hands + end) / 2, end], WOOD, 0.045)


def _in_hand(size: tuple[float, float], colour: str, near: str = "far") -> Callable:
    def draw(pen: Pen, person: Person) -> None:
        if hand := _hand(person, near):
            wrist, along = hand
            pen.oval(wrist + 0.07 * person.height * along, size, colour)

    return draw


def _under_feet(colour: str, length: float, width: float, wheels: bool) -> Callable:
    """A board along the ankles, but flatter: the one is nearer to the camera than the other."""

    def draw(pen: Pen, person: Person) -> None:
        ankles = [person.at[n] for n in ("left ankle", "right ankle") if n in person.at]
        if ankles:
            centre = np.mean(ankles, axis=0) + (0, 0.08 * person.height)
            along = ankles[-1] - ankles[0] if len(ankles) > 1 else np.array([1.0, 0.0])
            along = along * (np.sign(along[0]) or 1, 0.3 * (np.sign(along[0]) or 1))
            along = along / np.hypot(*along).clip(1)
            half = max(length * person.height, 1.2 * np.ptp(ankles, axis=0)[0]) / 2 * along
            pen.line([centre - half, centre + half], colour, width)
            for part in (-0.6, 0.6) if wheels else ():
                spot = centre + part * half + (0, 0.05 * person.height)
                pen.oval(spot, (0.06, 0.06), RUBBER)

    return draw


def _skis(pen: Pen, person: Person) -> None:
    for side in ("left", "right"):
        if (ankle := person.at.get(f"{side} ankle")) is not None:
            tips = (-0.4, 0.07), (0.42, 0.07), (0.5, 0.03)
            pen.line(person.place(ankle, *tips), "#c23b3b", 0.022)
        if (wrist := person.at.get(f"{side} wrist")) is not None:
            pen.line(person.place(wrist, (0.02, -0.03), (-0.3, 0.5)), METAL, 0.012)


def _machine(radius: float, base: float, tyre: float, frame: float, colour: str) -> Callable:
    """A bicycle or motorcycle below the hips, its handlebar at the hands."""

    def draw(pen: Pen, person: Person) -> None:
        seat, hands = person.middle("hip"), person.middle("wrist")
        if seat is None:
            return
        reach = 0.45 if hands is None else abs(hands[0] - seat[0]) / person.height
        base_ = np.clip(base * reach / 0.4, 0.5 * base, base)  # seen from the front, it is short
        feet = person.middle("ankle")
        low = 0.45 if feet is None else (feet[1] - seat[1]) / person.height
        axle = low + 0.06 - 0.3 * radius
        back, front = person.place(seat, (-0.45 * base_, axle), (0.55 * base_, axle))
        for wheel in (back, front):
            pen.oval(wheel, (2 * radius * base_ / base, 2 * radius), "none", rim=tyre)
        grip = hands if hands is not None else person.place(seat, (0.3, -0.1))[0]
        crank = person.place(seat, (0.06 * base_, axle))[0]
        saddle = seat + (0, 0.05 * person.height)
        for a, b in ((back, crank), (crank, saddle), (saddle, back), (crank, grip), (grip, front)):
            pen.line([a, b], colour, frame)
        pen.line(person.place(saddle, (-0.09, 0), (0.05, 0)), RUBBER, 0.04)

    return draw


def _horse(pen: Pen, person: Person) -> None:
    seat = person.middle("hip")
    if seat is None:
        return
    coat, place = "#7b4f2f", lambda *lengths: person.place(seat, *lengths)
    for x in (-0.33, -0.23, 0.24, 0.34):
        pen.line(place((x, 0.25), (x + 0.03, 0.5), (x, 0.78)), coat, 0.06)
    pen.oval(place((0.02, 0.2))[0], (0.85, 0.34), coat)
    pen.line(place((0.36, 0.12), (0.56, -0.2)), coat, 0.16)
    pen.line(place((0.56, -0.2), (0.74, -0.08)), coat, 0.11)
    pen.line(place((0.5, -0.3), (0.34, 0.05)), HAIR, 0.04)
    pen.line(place((-0.4, 0.1), (-0.5, 0.45)), HAIR, 0.05)


def _table(pen: Pen, person: Person) -> None:
    hands = person.middle("wrist")
    if hands is not None:
        top = person.place(hands, (-0.7, 0.05), (0.7, 0.05), (0.7, 0.12), (-0.7, 0.12))
        pen.area(top, WOOD)
        for x in (-0.6, 0.6):
            pen.line(person.place(hands, (x, 0.14), (x, 0.6)), WOOD, 0.05)
        pen.oval(person.place(hands, (0.12, 0.045))[0], (0.24, 0.03), "white")


def _football(pen: Pen, person: Person) -> None:
    ankles = [place for name, place in person.at.items() if name.endswith("ankle")]
    if ankles:
        foot = max(ankles, key=lambda place: person.way * place[0])
        ball, room = person.place(foot, (0.17, 0.03))[0], 0.07 * person.height
        ball[0] = np.clip(ball[0], room, pen.ax.get_xlim()[1] - room)
        pen.oval(ball, (0.12, 0.12), "white", rim=0.01)


def _kite(pen: Pen, person: Person) -> None:
    if hand := _hand(person, "far"):
        left, right = pen.ax.get_xlim()
        sky = np.array([left + (0.88 if person.way > 0 else 0.12) * (right - left), 0.0])
        sky[1] = 0.12 * pen.ax.get_ylim()[0]
        pen.line([hand[0], sky], METAL, 0.006)
        corners = (0, -0.13), (0.09, 0), (0, 0.16), (-0.09, 0)
        pen.area(person.place(sky, *corners), "#d9423a")


BEHIND = {
    "surfing": _under_feet("#f2ead7", 1.1, 0.08, wheels=False),
    "skateboarding": _under_feet(WOOD, 0.42, 0.04, wheels=True),
    "skiing": _skis,
    "horse": _horse,
    "bicycle": _machine(0.19, 0.6, 0.025, 0.025, "#b3372f"),
    "motorcycle": _machine(0.17, 0.72, 0.06, 0.09, "#a32c2c"),
    "kite": _kite,
}
IN_FRONT = {
    "tennis": _racket,
    "batting": _bat,
    "pitching": _in_hand((0.05, 0.05), "white"),
    "frisbee": _in_hand((0.17, 0.05), "#e8503a"),
    "phone": _in_hand((0.035, 0.075), RUBBER, near="head"),
    "table": _table,
    "soccer": _football,
}


def _limb(pen: Pen, person: Person, side: str, limb: str, colours: dict[str, str]) -> None:
    for start, end, width, bare in LIMBS[limb]:
        names = f"{side} {start}", f"{side} {end}"
        if set(names) <= person.at.keys():
            pen.line([person.at[name] for name in names], SKIN if bare else colours[limb], width)
    if limb == "leg" and (ankle := person.at.get(f"{side} ankle")) is not None:
        pen.line(person.place(ankle, (-0.01, 0.035), (0.07, 0.045)), SHOES, 0.05)
    if limb == "arm" and (wrist := person.at.get(f"{side} wrist")) is not None:
        pen.oval(wrist, (0.06, 0.06), SKIN)


def _body(pen: Pen, person: Person, colours: dict[str, str]) -> None:
    """Limbs of the far side, the trunk, the head, and limbs of the near side."""
    sides = ("right", "left") if person.way < 0 else ("left", "right")  # far, near
    for limb in LIMBS:
        _limb(pen, person, sides[0], limb, colours)
    trunk = ("left shoulder", "right shoulder", "right hip", "left hip")
    corners = [person.at[name] for name in trunk if name in person.at]
    if len(corners) > 2:
        pen.area(corners, colours["arm"])
    if corners:
        pen.line([*corners, corners[0]], colours["arm"], 0.09 if len(corners) > 2 else 0.16)
    head, neck = person.middle("nose", "eye", "ear"), person.middle("shoulder")
    if head is not None:
        if neck is not None:
            pen.line([neck, head], SKIN, 0.06)
        top = person.place(head, (-0.012, -0.02))[0]
        pen.oval(top, (0.135, 0.16), HAIR)
        pen.oval(person.place(head, (0.012, 0.012))[0], (0.115, 0.13), SKIN)
    for limb in reversed(LIMBS):
        _limb(pen, person, sides[1], limb, colours)


def draw(
    ax: Axes, keypoints: np.ndarray, size: tuple[int, int], activity: str, captions: Sequence[str]
) -> None:
    """Draws a person of the sample data, ``keypoints`` (17, 3), into an image of a ``size`` (width,
    height), with what belongs to the ``activity``. If the ``captions`` name the colour of what is
    worn, the shirt has it."""
    person = Person.seen(keypoints)
    pen, feet = Pen(ax, person), person.middle("ankle")
    ax.set(xlim=(0, size[0]), ylim=(size[1], 0))
    sky, ground = GROUNDS.get(activity, OUTSIDE)
    horizon = 0.55 * size[1] if feet is None else min(feet[1] - 0.2 * person.height, 0.8 * size[1])
    ax.add_patch(Rectangle((0, 0), *size, facecolor=sky, lw=0))
    ax.add_patch(Rectangle((0, horizon), size[0], size[1], facecolor=ground, lw=0))
    shirts = "|".join(name for name in CLOTHES if name != "hat")
    worn = re.search(rf"in an? ({'|'.join(COLOURS)}) ({shirts})", " ".join(captions))
    shirt = worn[1] if worn else SHIRT
    if activity in BEHIND:
        BEHIND[activity](pen, person)
    _body(pen, person, {"arm": shirt, "leg": TROUSERS})
    if activity in IN_FRONT:
        IN_FRONT[activity](pen, person)
