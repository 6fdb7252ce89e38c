"""The form to try the model in JupyterLab, without JupyterLab."""

import base64
import io
import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from lib.errors import InputError
from lib.pose.drawing import sheet
from lib.pose.files import remake, write
from lib.pose.model import Model
from lib.pose.widget import Trial

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def trial() -> Trial:
    return Trial("a man runs", number=3, seed=4)


def said(trial: Trial) -> str:
    return BeautifulSoup(trial.status.value, "html.parser").get_text()


def pictures(trial: Trial) -> list[bytes]:
    """Those that are shown."""
    values = [box.children[0].value for box in trial.sheet.children]
    return [base64.b64decode(re.search('base64,(.+?)"', value)[1]) for value in values]


def same(trial: Trial, *made: tuple[str, int, int]) -> None:
    """What is shown are poses of these captions, numbers and seeds, each at its place."""
    wanted = [Model().pose(*each).one(place) for place, each in enumerate(made, start=1)]
    for pose, other in zip(trial.poses, wanted, strict=True):
        assert pose.made_by == other.made_by
        np.testing.assert_array_equal(pose.keypoints, other.keypoints)
    assert pictures(trial) == [sheet(pose.keypoints, pose.made_by) for pose in wanted]


def test_it_begins_with_the_poses_it_was_asked_for(trial):
    same(trial, *[("a man runs", 3, 4)] * 3)
    assert said(trial) == "3 new poses."


def test_poses_follow_what_is_typed(trial):
    trial.caption.value = "two women sit"
    same(trial, *[("two women sit", 3, 4)] * 3)
    assert said(trial) == " ".join(["3 new poses.", *Model().notes("two women sit")])
    trial.number.value = 5
    same(trial, *[("two women sit", 5, 4)] * 5)
    trial.seed.value = 9
    trial.number.value = 1
    same(trial, ("two women sit", 1, 9))


def test_another_counts_up_to_the_last_seed_and_goes_on_with_the_first(trial):
    trial.another.click()
    assert trial.seed.value == 5
    same(trial, *[("a man runs", 3, 5)] * 3)
    trial.seed.value = 4_294_967_295
    trial.another.click()
    assert trial.seed.value == 0
    same(trial, *[("a man runs", 3, 0)] * 3)


def test_what_is_kept_stays(trial):
    trial.tiles[1].keep.value = True
    trial.caption.value = "a woman sits"
    trial.another.click()
    same(trial, ("a woman sits", 3, 5), ("a man runs", 3, 4), ("a woman sits", 3, 5))
    assert said(trial) == "2 new poses, 1 kept."
    trial.tiles[1].keep.value = False
    trial.another.click()
    same(trial, *[("a woman sits", 3, 6)] * 3)


def test_a_caption_that_cannot_be_answered_is_said_and_leaves_the_poses(trial):
    trial.caption.value = "<xyzzy>"
    assert said(trial).startswith("The model knows no word of '<xyzzy>'.")
    same(trial, *[("a man runs", 3, 4)] * 3)
    trial.caption.value = "a man runs"
    assert said(trial) == "3 new poses."
    with pytest.raises(InputError, match="no words"):
        Trial("?")


def test_pictures_say_what_they_show(trial):
    trial.caption.value = 'a "man" runs'
    image = BeautifulSoup(trial.tiles[1].image.value, "html.parser").img
    seen = int(trial.poses[1].keypoints[..., 2].sum())
    assert image["alt"] == f'Pose 2 for “a "man" runs”, {seen} of 17 keypoints visible'


def test_a_pose_becomes_a_file_that_makes_it_again(trial, tmp_path):
    (file,) = write(trial.poses[2], tmp_path / "pose.openpose.json")
    again = remake(Model(), file)
    np.testing.assert_array_equal(again.keypoints, trial.poses[2].keypoints)


def test_a_notebook_has_the_form_and_a_picture_of_all_poses(trial):
    shown = trial._repr_mimebundle_()
    assert shown[VIEW]["model_id"] == trial.form.model_id
    picture = Image.open(io.BytesIO(shown["image/png"]))
    assert picture.size == (3 * 256 + 2 * 8, 256)
    assert shown["image/png"] == sheet(trial.answer.keypoints, trial.answer.made_by)
