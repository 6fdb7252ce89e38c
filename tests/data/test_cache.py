"""The compact cache: what it holds, when it is made anew, what a failure leaves."""

import ast
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from lib import paths
from lib.data import archive, coco
from lib.data import cache as data_cache
from lib.data import captions as text
from lib.data.heatmaps import fit_to_heatmap
from lib.data.sample import people
from lib.errors import InputError


def prepare(source=None, cache=None, **options):
    return data_cache.prepare(source, cache, **{"encoder_epochs": 1} | options)


@pytest.fixture
def prepared(tiny_coco, tmp_path, home):
    """A tiny data set, its cache, and the summary of making it."""
    source = tiny_coco(tmp_path / "source")
    return source, paths.CACHE / "coco.safetensors", prepare(source)


def test_summary(prepared):
    source, cache, summary = prepared
    assert json.loads(json.dumps(summary)) == summary
    assert summary == {
        "source": "coco",
        "train_poses": 15,
        "val_poses": 9,
        "train_pairs": 12,
        "val_pairs": 6,
        "train_captions": 75,
        "val_captions": 45,
        "left_out": dict.fromkeys(coco.REASONS, 0),
        "missing": [],
        "encoder": "fasttext trained",
        "cache": str(cache),
    }


def test_load_gives_what_the_files_hold(prepared):
    source, _, _ = prepared
    dataset = data_cache.load("coco")
    assert (dataset.name, dataset.source) == ("coco", "coco")
    arrays, captions, found = coco.read(source)
    for name, split in (("train", dataset.train), ("val", dataset.val)):
        wanted = {
            key.removeprefix(f"{name}."): a for key, a in arrays.items() if key.startswith(name)
        }
        for key in ("keypoints", "boxes", "person_ids", "image_ids", "image_sizes", "single"):
            stored, read = getattr(split, key), wanted[key]
            assert stored.dtype == read.dtype and (stored == read).all(), key
        for key in ("pair_pose", "pair_first", "pair_count"):
            assert getattr(split, key).dtype == torch.int64
            assert getattr(split, key).tolist() == wanted[key].tolist()
        assert split.poses.dtype == torch.float32
        fitted = fit_to_heatmap(wanted["keypoints"], wanted["boxes"])
        assert np.array_equal(split.poses, fitted)
        assert split.captions == captions[name]
        assert split.caption_images.tolist() == wanted["caption_images"].tolist()
        assert split.activity.tolist() == wanted["activity"].tolist()
    assert dataset.meta["activities"] == found["activities"]
    pair = int(np.flatnonzero(dataset.val.image_ids[dataset.val.pair_pose] == 203)[0])
    assert dataset.val.captions_of(pair) == [
        f"a person throwing today, view {n}." for n in range(5)
    ]
    assert dataset.meta["counts"]["train"]["persons"] == 18
    assert set(dataset.meta["hashes"]) == {
        kind.format(s)
        for kind in (archive.KEYPOINTS, archive.CAPTIONS, archive.ACTIVITIES)
        for s in archive.SPLITS
    }


def test_vectors_are_those_of_the_encoder(prepared):
    dataset = data_cache.load("coco")
    wanted = text.encode(dataset.encoder(), dataset.val.captions)
    assert dataset.val.vectors.shape == (45, 300) and dataset.val.vectors.dtype == torch.float32
    assert np.abs(wanted).max() > 0.01
    assert np.allclose(dataset.val.vectors, wanted, rtol=1e-3, atol=1e-6)  # stored in 16 bits
    assert dataset.meta["encoder"]["kind"] == "fasttext trained"
    assert dataset.meta["encoder"]["words"] == len(dataset.encoder().words) > 5


def test_cache_holds_no_heatmaps(prepared):
    source, cache, _ = prepared
    with safe_open(cache, framework="numpy") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
    assert len(shapes) == 26 and all(64 not in shape for shape in shapes.values())


def test_unknown_activities(tiny_coco, tmp_path, home):
    prepare(tiny_coco(tmp_path / "source", activities=False))
    dataset = data_cache.load("coco")
    assert dataset.meta["activities"] == [] and set(dataset.train.activity) == {-1}


def stamp(path):
    return (path.stat().st_mtime_ns, path.stat().st_ino)


def test_second_time_does_nothing(prepared, monkeypatch):
    source, cache, summary = prepared
    before = stamp(cache)
    monkeypatch.setattr(text, "train_encoder", None)  # would fail if it were called
    monkeypatch.setattr(coco, "read", None)
    assert prepare(source) == summary and stamp(cache) == before


@pytest.mark.parametrize("change", ["captions", "poses", "epochs", "seed"])
def test_change_is_noticed(prepared, tiny_coco, change):
    source, cache, _ = prepared
    before, stamped = data_cache.load("coco"), stamp(cache)

    def edit(files):
        if change == "captions":
            files["captions_val2017"]["annotations"][0]["caption"] = "another"
        if change == "poses":
            files["person_keypoints_val2017"]["annotations"][-1]["keypoints"][0] += 1

    tiny_coco(source, edit=edit)
    prepare(source, encoder_epochs=2 if change == "epochs" else 1, seed=int(change == "seed"))
    after = data_cache.load("coco")
    assert stamp(cache) != stamped
    assert (after.poses_id != before.poses_id) == (change == "poses")
    assert after.pairs_id != before.pairs_id


def test_ids_depend_on_content_only(prepared, tiny_coco, tmp_path):
    other = tiny_coco(tmp_path / "elsewhere", zipped=True)
    prepare(other, tmp_path / "other.safetensors")
    one, two = data_cache.load("coco"), data_cache.load(tmp_path / "other.safetensors")
    assert (one.poses_id, one.pairs_id) == (two.poses_id, two.pairs_id)
    assert (one.train.vectors == two.train.vectors).all()


def test_cache_folder_is_accepted(tiny_coco, tmp_path, home):
    (tmp_path / "caches").mkdir()
    summary = prepare(tiny_coco(tmp_path / "source"), tmp_path / "caches")
    assert summary["cache"] == str(tmp_path / "caches" / "coco.safetensors")
    assert len(data_cache.load(summary["cache"]).train.poses) == 15


@pytest.mark.parametrize("stage", ["read", "encode", "write"])
def test_error_leaves_the_earlier_cache(prepared, tiny_coco, monkeypatch, stage):
    source, cache, _ = prepared
    before = cache.read_bytes()
    tiny_coco(source, seed=1)
    if stage == "read":
        (source / "annotations" / "captions_val2017.json").write_text("{")
        with pytest.raises(InputError, match="captions_val2017"):
            prepare(source)
    elif stage == "encode":
        with pytest.raises(InputError, match="none.bin"):
            prepare(source, encoder=source / "none.bin")
    else:

        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(InputError, match="cannot be written.*No space"):
            data_cache.save(cache, {"a": np.zeros(1)}, {})
    assert cache.read_bytes() == before
    assert [p.name for p in cache.parent.iterdir()] == [cache.name]  # no debris


def test_damaged_cache_is_named_and_made_anew(prepared):
    source, cache, summary = prepared
    whole, before = cache.read_bytes(), data_cache.load("coco")
    cache.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a whole cache"):
        data_cache.load("coco")
    assert prepare(source) == summary
    after = data_cache.load("coco")
    assert after.meta == before.meta and (after.val.vectors == before.val.vectors).all()


def other_pose(arrays):
    arrays["train.keypoints"][0, 0, 0] += 1


def other_place(arrays):
    arrays["val.pair_pose"][0] = 10**6


def other_shape(arrays):
    arrays["train.boxes"] = arrays["train.boxes"][:, :3].copy()


@pytest.mark.parametrize(
    "change", [other_pose, other_place, other_shape, lambda arrays: arrays.pop("val.vectors")]
)
def test_a_changed_cache_is_not_taken_for_the_old_one(prepared, change):
    """Its fingerprints would find the runs of the data that it had."""
    source, cache, summary = prepared
    with safe_open(cache, framework="numpy") as file:
        arrays, meta = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()
    change(arrays)
    save_file(arrays, cache, meta)
    with pytest.raises(InputError, match="changed or damaged since it was made: run notebooks/01"):
        data_cache.load("coco")
    assert prepare(source) == summary and data_cache.load("coco")


def test_only_coco_is_called_coco(prepared):
    assert data_cache.load("coco").title == "own data"
    assert data_cache.described(data_cache.load("coco")).startswith("own data (15 training")


@pytest.mark.parametrize("name", ["sample", "coco", "some/where.safetensors"])
def test_missing_cache_says_what_to_run(home, name):
    with pytest.raises(InputError) as caught:
        data_cache.load(name)
    assert "notebooks/01_data_preparation.ipynb" in str(caught.value)
    assert "python -m lib prepare" in str(caught.value)


def test_cache_of_another_version(prepared, monkeypatch):
    source, cache, _ = prepared
    monkeypatch.setattr(data_cache, "FORMAT", data_cache.FORMAT + 1)
    with pytest.raises(InputError, match="another version"):
        data_cache.load("coco")
    prepare(source)
    assert len(data_cache.load("coco").val.poses) == 9


def test_missing_train_captions(tiny_coco, tmp_path, home):
    summary = prepare(tiny_coco(tmp_path / "source", captions=("val",)))
    assert summary["missing"] == ["annotations/captions_train2017.json"]
    assert (summary["train_pairs"], summary["val_pairs"]) == (0, 6)
    assert summary["encoder"] == "none"
    dataset = data_cache.load("coco")
    assert len(dataset.train.poses) == 15 and dataset.train.captions == []
    assert dataset.train.vectors.shape == dataset.val.vectors.shape == (0, 300)
    with pytest.raises(InputError, match="no text encoder"):
        dataset.encoder()


def test_missing_val_captions(tiny_coco, tmp_path, home):
    summary = prepare(tiny_coco(tmp_path / "source", captions=("train",)))
    assert summary["missing"] == ["annotations/captions_val2017.json"]
    assert (summary["train_pairs"], summary["val_pairs"]) == (12, 0)
    assert data_cache.load("coco").train.vectors.shape == (75, 300)


def test_pretrained_encoder(tiny_coco, tmp_path, home):
    source = tiny_coco(tmp_path / "source", captions=("val",))
    given = tmp_path / "wiki.en.bin"
    model = text.train_encoder(["a person skiing today, view 1."], given, epochs=1)
    summary = prepare(source, encoder=given)
    dataset = data_cache.load("coco")
    assert summary["encoder"] == "pretrained" and dataset.meta["encoder"]["file"] == "wiki.en.bin"
    assert np.allclose(dataset.val.vectors, text.encode(model, dataset.val.captions), atol=1e-3)
    assert dataset.encoder().get_dimension() == 300
    stamped = stamp(paths.CACHE / "coco.safetensors")
    prepare(source, encoder=given)
    assert stamp(paths.CACHE / "coco.safetensors") == stamped
    prepare(source)
    assert data_cache.load("coco").meta["encoder"]["kind"] == "none"


def test_lost_encoder_is_made_again(prepared):
    dataset = data_cache.load("coco")
    (paths.ENCODERS / dataset.meta["encoder"]["file"]).unlink()
    vectors = text.encode(dataset.encoder(), dataset.train.captions)
    assert np.allclose(vectors, dataset.train.vectors, rtol=1e-3, atol=1e-6)


def test_sample_is_written_once(home):
    summary = prepare(sample_images=(40, 10))
    assert summary["source"] == "sample" and summary["train_captions"] == 200
    assert summary["train_pairs"] > 0 and summary["val_pairs"] > 0
    assert sum(summary["left_out"].values()) == 0
    file = paths.SAMPLE / archive.KEYPOINTS.format("train")
    before, content = stamp(file), file.read_bytes()
    prepare(sample_images=(40, 10))
    assert stamp(file) == before
    assert sorted(p.name for p in paths.SAMPLE.iterdir()) == ["annotations", "sample.json"]

    file.write_bytes(content[:-1])  # cut off: written again, the same
    prepare(sample_images=(40, 10))
    assert file.read_bytes() == content
    prepare(sample_images=(40, 10), seed=1)
    assert file.read_bytes() != content
    assert prepare(sample_images=(50, 10))["train_captions"] == 250

    dataset = data_cache.load("sample")
    assert dataset.source == "sample"
    assert set(dataset.meta["activities"]) <= set(people.ACTIVITIES)
    assert -1 not in dataset.train.activity


def test_folder_of_the_sample_is_the_sample(home):
    prepare(sample_images=(40, 10))
    before = stamp(paths.CACHE / "sample.safetensors")
    assert prepare(paths.SAMPLE)["source"] == "sample"
    assert stamp(paths.CACHE / "sample.safetensors") == before


def test_generator_names_every_module_that_makes_the_sample():
    lib = paths.SOURCE / "lib"
    found, todo = set(), [lib / "data" / "sample" / "people.py"]
    while todo:
        found.add(path := todo.pop())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("lib."):
                module = paths.SOURCE / node.module.replace(".", "/")
                names = [module / f"{alias.name}.py" for alias in node.names]
                files = [*filter(lambda file: file.is_file(), [module.with_suffix(".py"), *names])]
                todo += [file for file in files if file not in found]
    assert found == {lib / "data" / name for name in data_cache.GENERATOR}


def test_loading_needs_torch_numpy_and_safetensors_only(prepared):
    _, cache, _ = prepared
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ("pycocotools", "fasttext", "requests", "matplotlib", "sklearn", "typer"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Refuse())
from lib.data import cache as data_cache
print(len(data_cache.load(sys.argv[1]).train.captions))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(cache)],
        cwd=paths.SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "75\n", run.stderr


class TestRealCoco:
    """The archive in ../shared/coco, prepared once."""

    @pytest.fixture(scope="class")
    def real(self, coco_zip, module_home):
        return prepare(coco_zip)

    def test_counts(self, real):
        assert (real["train_poses"], real["val_poses"]) == (116_021, 4_812)
        assert (real["train_pairs"], real["val_pairs"]) == (9_654, 860)
        assert (real["train_captions"], real["val_captions"]) == (188_991, 25_014)
        assert real["missing"] == []
        # 21,497 eligible poses have the image to themselves, and captions are only a part.
        wanted = dict.fromkeys(coco.REASONS, 0) | {coco.NO_CAPTION: 21_497 - 9_654}
        assert real["left_out"] == wanted

    def test_content(self, real):
        dataset = data_cache.load("coco")
        assert dataset.title == "COCO 2017"
        counts = dataset.meta["counts"]
        assert (counts["train"]["persons"], counts["val"]["persons"]) == (149_813, 6_352)
        for split in (dataset.train, dataset.val):
            visible = split.poses[..., 2].sum(1)
            assert visible.min() == 8 and set(split.poses[..., 2].unique().tolist()) == {0, 1}
            order = np.lexsort((split.person_ids, split.image_ids))
            assert (order == np.arange(len(order))).all()
            inside = (split.poses[..., :2] > -16) & (split.poses[..., :2] < 80)
            assert inside.float().mean() > 0.998  # a quarter of the box beyond it
            assert (split.image_sizes > 0).all()
            images = split.image_ids[split.pair_pose]
            assert (split.caption_images[split.pair_first] == images).all()
            last = split.pair_first + split.pair_count - 1
            assert (split.caption_images[last] == images).all()
        # The archive has only a part of the captions of some training images.
        assert (dataset.val.pair_count >= 5).all() and (dataset.train.pair_count >= 1).all()

    def test_second_time_does_nothing(self, real, coco_zip, monkeypatch):
        monkeypatch.setattr(coco, "read", None)
        assert prepare(coco_zip) == real

    def test_captions_of_an_image_are_closer(self, real):
        dataset = data_cache.load("coco")
        found = text.distance_test(dataset.val.vectors, dataset.val.caption_images)
        assert found.same.shape == (10_000,)
        assert found.probability > 0.6  # one epoch, small encoder; 0.92 with the defaults
