"""COCO's files wherever people have them, and what is said where they cannot be read."""

import os
import shutil
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

from lib.data import archive, coco
from lib.data.archive import Archive
from lib.errors import InputError


def refusal(path) -> str:
    with pytest.raises(InputError) as caught:
        coco.read(path)
    return str(caught.value)


def says(message: str, *parts: str) -> bool:
    return all(part in message for part in parts) and "\n" not in message


def test_zip_and_folder_are_the_same(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path / "a")
    path = tiny_coco(tmp_path / "b", zipped=True)
    one, two = Archive(folder), Archive(path)
    assert one.hashes() == two.hashes()
    assert len(one.hashes()) == 6
    (a, captions, _), (b, *_) = coco.read(folder), coco.read(path)
    assert all(np.array_equal(a[name], b[name]) for name in a) and captions["val"]


def test_missing_path(tmp_path):
    assert says(refusal(tmp_path / "none.zip"), "no file or folder", "none.zip")


def test_neither_zip_nor_annotations(tmp_path):
    (tmp_path / "some.zip").write_bytes(b"not a zip at all")
    assert says(refusal(tmp_path / "some.zip"), "some.zip", "not a whole zip")
    assert says(refusal(tmp_path), "annotations/")


def test_truncated_zip(tiny_coco, tmp_path):
    path = tiny_coco(tmp_path, zipped=True)
    path.write_bytes(path.read_bytes()[:-2000])
    assert says(refusal(path), path.name, "not a whole zip", "get it again")


def test_damaged_member(tiny_coco, tmp_path):
    path = tiny_coco(tmp_path, zipped=True)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("annotations/person_keypoints_val2017.json")
    data = bytearray(path.read_bytes())
    middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    data[middle : middle + 8] = bytes(8)
    path.write_bytes(data)
    assert says(refusal(path), info.filename, "damaged")
    with pytest.raises(InputError, match="damaged"):
        Archive(path).hashes()


def test_member_cut_off_inside_zip(tiny_coco, tmp_path):
    # A stored member whose checksum and length are right, but whose JSON ends early.
    folder = tiny_coco(tmp_path)
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((folder / "annotations").iterdir()):
            archive.writestr(f"annotations/{file.name}", file.read_bytes()[:-100])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    assert zlib.crc32(b"") == 0
    assert says(refusal(path), "annotations/person_keypoints_train2017.json", "valid JSON")


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"a": \x00}', "\udcff"])
def test_invalid_json(tiny_coco, tmp_path, text):
    folder = tiny_coco(tmp_path)
    file = folder / "annotations" / "captions_val2017.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says(refusal(folder), "annotations/captions_val2017.json", "valid JSON")


def test_missing_keypoint_file(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path)
    (folder / "annotations" / "person_keypoints_val2017.json").unlink()
    assert says(refusal(folder), "has no annotations/person_keypoints_val2017.json")


# --- layouts as people have them ------------------------------------------------------------------


def from_finder(folder, path):
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted((folder / "annotations").iterdir()):
            made.writestr(f"__MACOSX/coco/annotations/._{file.name}", b"\x00\x05\x16\x07")
            made.writestr(f"__MACOSX/coco/annotations/{file.name}", b"\x00\x05\x16\x07")
            made.write(file, f"coco/annotations/{file.name}")


def from_windows(folder, path):
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted((folder / "annotations").iterdir()):
            info = zipfile.ZipInfo("x")
            info.filename = f"annotations\\{file.name}"
            made.writestr(info, file.read_bytes())


@pytest.mark.parametrize("make", [from_finder, from_windows])
def test_archives_of_other_programs_are_read(tiny_coco, tmp_path, make):
    folder = tiny_coco(tmp_path / "a")
    make(folder, tmp_path / "made.zip")
    assert Archive(tmp_path / "made.zip").hashes() == Archive(folder).hashes()


@pytest.mark.parametrize("other", ["__MACOSX/annotations", "d/older/annotations"])
def test_of_several_folders_in_a_zip_the_highest_that_is_no_macs_counts(tiny_coco, tmp_path, other):
    folder = tiny_coco(tmp_path / "a")
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as made:
        for file in sorted((folder / "annotations").iterdir()):
            made.write(file, f"c/coco/annotations/{file.name}")
            made.writestr(f"{other}/{file.name}", "{}")
            made.writestr(f"c/coco/older/annotations/{file.name}", "{}")
    assert Archive(tmp_path / "made.zip").hashes() == Archive(folder).hashes()


@pytest.mark.parametrize("given", ["", "annotations", "annotations/annotations"])
def test_a_folder_may_be_any_of_those_above_the_files(tiny_coco, tmp_path, given):
    folder = tiny_coco(tmp_path / "a")
    wanted = Archive(folder).hashes()
    shutil.copytree(folder / "annotations", tmp_path / "b" / "annotations" / "annotations")
    assert Archive(tmp_path / "b" / given).hashes() == wanted


def test_files_are_taken_from_one_folder_the_highest(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path / "a")
    wanted = Archive(folder).hashes()
    other = tiny_coco(folder / "annotations" / "old", seed=1, captions=())
    assert Archive(folder).hashes() == wanted
    for file in (folder / "annotations").glob("captions_*"):
        file.unlink()
    shutil.copytree(tiny_coco(tmp_path / "c") / "annotations", other, dirs_exist_ok=True)
    assert not any("captions" in name for name in Archive(folder).members())


def test_a_link_to_the_files_is_followed_and_one_to_itself_is_not(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "annotations").symlink_to(folder / "annotations")
    assert Archive(tmp_path / "b").hashes() == Archive(folder).hashes()
    (folder / "loop").symlink_to(folder)
    (folder / "annotations" / "loop").symlink_to(folder / "annotations" / "loop")
    assert len(Archive(folder).members()) == 6
    assert says(refusal(folder / "annotations" / "loop"), "no file or folder")


def test_what_is_no_archive_is_said(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path / "a")
    file = folder / "annotations" / "person_keypoints_train2017.json"
    assert says(refusal(file), "is a file of an archive: give the folder")
    with tarfile.open(tmp_path / "data.tar.gz", "w:gz") as made:
        made.add(folder / "annotations", "annotations")
    assert says(refusal(tmp_path / "data.tar.gz"), "is a tar archive: unpack it")
    os.mkfifo(tmp_path / "pipe")
    assert says(refusal(tmp_path / "pipe"), "neither a file nor a folder")
    file.unlink()
    os.mkfifo(file)
    assert says(refusal(folder), "has no annotations/person_keypoints_train2017.json")


def test_a_compression_that_python_lacks_is_no_damage(tiny_coco, tmp_path):
    path = tiny_coco(tmp_path, zipped=True)
    content = path.read_bytes()
    # The method, 8, lies after the version and flags of each header.
    content = content.replace(b"PK\x03\x04\x14\x00\x00\x00\x08", b"PK\x03\x04\x14\x00\x00\x00\x09")
    content = content.replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x08", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x09"
    )
    path.write_bytes(content)
    message = refusal(path)
    assert says(message, "compressed in a way", "give the folder") and "damaged" not in message


def test_a_member_that_would_fill_the_memory_is_not_unpacked(tiny_coco, tmp_path, monkeypatch):
    path = tiny_coco(tmp_path, zipped=True)
    monkeypatch.setattr(archive, "MOST", 3_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    assert says(refusal(path), "would unpack to over", "give the folder")
    coco.read(tiny_coco(tmp_path / "b"))  # a folder is as large as it is


def test_json_without_end_of_its_lists_is_refused(tiny_coco, tmp_path):
    folder = tiny_coco(tmp_path)
    (folder / "annotations" / "captions_val2017.json").write_text("[" * 200_000 + "]" * 200_000)
    assert says(refusal(folder), "captions_val2017.json", "valid JSON")
