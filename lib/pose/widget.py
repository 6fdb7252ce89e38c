"""The model to try in JupyterLab: a sentence to type, and poses that answer it.

Where no kernel answers, as in the book, what is left of it is a picture (:mod:`lib.book.engine`).
"""

import base64
import html
from typing import Any

from ipywidgets import HTML, BoundedIntText, Box, Button, Checkbox, HBox, Text, VBox

from lib.data.skeleton import NAMES
from lib.errors import InputError
from lib.pose.drawing import sheet
from lib.pose.model import Model, Poses

MOST = 12  # poses
SEEDS = 2**32
WIDTH = "150px"  # of a pose: six stand in a row
ROW = {"flex_flow": "row wrap", "grid_gap": "8px"}


class Tile:
    """A pose that is shown, with a box to keep it."""

    def __init__(self):
        self.image, self.keep = HTML(), Checkbox(description="Keep", indent=False)
        self.box = VBox([self.image, self.keep], layout={"width": WIDTH})

    def show(self, pose: Poses) -> None:
        """Shows ``pose``, which holds a single one."""
        self.pose = pose
        told, seen = pose.made_by, int((pose.keypoints[0, :, 2] > 0).sum())
        text = f"Pose {told['pose']} for “{told['caption']}”, "
        text += f"{seen} of {len(NAMES)} keypoints visible"
        picture = base64.b64encode(sheet(pose.keypoints, told)).decode()
        source = f'src="data:image/png;base64,{picture}"'
        self.image.value = f'<img {source} alt="{html.escape(text)}" style="width: 100%">'


class Trial:
    """A form with a sentence, a number of poses and a seed, and below it the poses.

    They follow what is typed, but for those that are kept. ``poses`` are those that are shown, each
    with what makes it again, for :func:`lib.pose.files.write`.
    """

    def __init__(self, caption: str, number: int = 6, seed: int = 0, run: str = ""):
        """``number`` from 1 to 12, or the nearest of these; ``run`` as for
        :class:`lib.pose.model.Model`. Raises InputError if that is not there, or the first caption
        cannot be answered."""
        self.model, self.tiles = Model(run), []
        look = {"style": {"description_width": "initial"}}
        wide = {"width": "99%"}
        label = "What does the person do?"
        self.caption = Text(
            caption, description=label, layout=wide, continuous_update=False, **look
        )
        self.number = BoundedIntText(number, 1, MOST, description="Poses", **look)
        self.seed = BoundedIntText(seed, 0, SEEDS - 1, description="Seed", **look)
        self.another = Button(description="Another")
        self.status = HTML()
        self.sheet = Box(layout=ROW)
        numbers = HBox([self.number, self.seed, self.another], layout=ROW)
        self.form = VBox([self.caption, numbers, self.status, self.sheet])
        self.answer = self._answered()
        self._show()
        for field in (self.caption, self.number, self.seed):
            field.observe(self._ask, "value")
        self.another.on_click(self._count)

    @property
    def poses(self) -> list[Poses]:
        """Those that are shown, one by one."""
        return [tile.pose for tile in self.tiles]

    def _answered(self) -> Poses:
        return self.model.pose(self.caption.value, self.number.value, self.seed.value)

    def _count(self, _: Button) -> None:
        self.seed.value = (self.seed.value + 1) % SEEDS

    def _ask(self, _: Any) -> None:
        """Answers the form; a caption that cannot be answered leaves the poses as they are."""
        try:
            self.answer = self._answered()
        except InputError as error:
            self._say(str(error))
        else:
            self._show()

    def _show(self) -> None:
        """Shows the answer on all tiles but those that are kept."""
        number = len(self.answer.keypoints)
        more = [Tile() for _ in range(number - len(self.tiles))]
        self.tiles = self.tiles[:number] + more
        free = [(n, tile) for n, tile in enumerate(self.tiles, start=1) if not tile.keep.value]
        for place, tile in free:
            tile.show(self.answer.one(place))
        self.sheet.children = [tile.box for tile in self.tiles]
        kept = f", {number - len(free)} kept" if number > len(free) else ""
        self._say(" ".join([f"{len(free)} new poses{kept}.", *self.answer.notes]))

    def _say(self, text: str) -> None:
        self.status.value = f'<span role="status">{html.escape(text)}</span>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        picture = sheet(self.answer.keypoints, self.answer.made_by)
        return self.form._repr_mimebundle_(**options) | {"image/png": picture}
