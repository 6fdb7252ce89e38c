"""Inputs of public bug reports that the right values are known of (../shared/cases)."""

from pathlib import Path

import pytest

from lib import paths
from lib.data.cache import load, prepare
from lib.errors import InputError

CASES = paths.SOURCE.parent / "shared" / "cases"
WHOLE = {"train_poses": 12, "val_poses": 6, "train_pairs": 12, "val_pairs": 6}

HORSES = {"train_poses": 8, "val_poses": 2, "train_pairs": 8, "val_pairs": 2}


@pytest.fixture(scope="module")
def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("needs the inputs in ../shared/cases, which are not there")
    return CASES


def prepared(source: Path, home: Path) -> dict:
    """What prepare prints."""
    return prepare(source, home / "cache.safetensors", encoder_epochs=1)


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("01-keypoint-order/data", WHOLE),
        ("02-other-categories/dogs", WHOLE),
        ("02-other-categories/horses", HORSES),
        ("02-other-categories/empties", WHOLE),
        ("04-image-size-nan/nan", WHOLE),
        ("04-image-size-nan/infinity", WHOLE),
        ("04-image-size-nan/wide", WHOLE),
        ("05-scores-as-visibility/data", WHOLE | dict(train_poses=8, train_pairs=8)),
        ("06-archive-layouts/mac.zip", WHOLE),
        ("06-archive-layouts/windows.zip", WHOLE),
        ("06-archive-layouts/nested", WHOLE),
        ("08-ids-of-another-type/text", WHOLE),
        ("08-ids-of-another-type/floats", WHOLE),
        ("08-ids-of-another-type/captions-without-id", WHOLE),
        ("08-ids-of-another-type/images-only", WHOLE),
        ("15-one-caption-an-image/data", WHOLE),
        ("17-other-skeletons/nested", WHOLE),
    ],
)  # fmt: skip
def test_data_as_people_have_them_are_read(cases, place, wanted, home):
    found = prepared(cases / place, home)
    assert {name: found[name] for name in wanted} == wanted
    if place.startswith("01"):
        nose = load(home / "cache.safetensors").train.keypoints[0][0]
        assert nose.tolist() == [152, 40, 2]
    if place.endswith("empties"):
        assert found["left_out"]["annotation without keypoints and without a box"] == 3
    if place.endswith("images-only"):
        assert (load(home / "cache.safetensors").train.image_sizes == [320, 240]).all()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("03-ids-over-64-bits/persons", ["id ", "64 bits"]),
        ("03-ids-over-64-bits/images", ["has id ", "64 bits"]),
        ("06-archive-layouts/person_keypoints_train2017.json", ["give the folder"]),
        ("06-archive-layouts/data.tar.gz", ["tar archive", "unpack it"]),
        ("07-zip-deflate64/deflate64.zip", ["compressed", "give the folder"]),
        ("07-zip-deflate64/zstd.zip", ["compressed", "give the folder"]),
        ("17-other-skeletons/crowdpose", ["17"]),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(cases, place, words, home):
    with pytest.raises(InputError) as error:
        prepared(cases / place, home)
    said = str(error.value)
    assert all(word in said for word in words) and "\n" not in said
    assert "get it again" not in said and not (home / "cache.safetensors").exists()
