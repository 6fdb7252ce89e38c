"""COCO's files as people have them: in the official zip, in one made again, or in a folder."""

import hashlib
import json
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from lib.errors import InputError
from lib.paths import shown

SPLITS = ("train", "val")
KEYPOINTS = "annotations/person_keypoints_{}2017.json"
CAPTIONS = "annotations/captions_{}2017.json"
ACTIVITIES = "annotations/activities_{}2017.json"
MOST = 600_000_000  # bytes of an unpacked member: over twice COCO's largest
ANYWHERE = ("annotations/", "", "*/", "*/*/")  # where a folder is looked through, in this order


class Archive:
    """COCO's files in a zip or a folder, by the names they have in the official archive, wherever
    in it they lie together.

    Raises InputError if there are none, or a file that is not a zip; its methods do if a file is
    damaged or cannot be unpacked.
    """

    def __init__(self, path: Path):
        self.path = Path(path).expanduser()
        folder = self.path.is_dir()
        self.zip = None if folder else self._opened()
        names = self.zip.namelist() if self.zip else self._in_folder()
        self.places = _together(names, KEYPOINTS.format("train"))
        for member in map(KEYPOINTS.format, SPLITS):
            if member not in self:
                raise InputError(
                    f"{shown(self.path)} has no {member}: COCO's annotations_trainval2017.zip is "
                    "wanted, or the folder that holds its annotations/."
                )

    def _opened(self) -> zipfile.ZipFile:
        path, advice = shown(self.path), "give the folder that holds COCO's annotations/"
        if not self.path.exists():
            raise InputError(
                f"There is no file or folder {path}: give the path of COCO's "
                "annotations_trainval2017.zip, or of the folder it was unpacked in."
            )
        if not self.path.is_file():
            raise InputError(f"{path} is neither a file nor a folder: {advice}.")
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            if self.path.suffix == ".json":
                raise InputError(f"{path} is a file of an archive: {advice}.") from None
            if not isinstance(error, OSError) and tarfile.is_tarfile(self.path):
                raise InputError(f"{path} is a tar archive: unpack it, and {advice}.") from None
            raise InputError(
                f"{path} is not a whole zip archive ({error}): it may have been cut off while it "
                "was copied or downloaded; get it again."
            ) from None

    def _in_folder(self) -> list[str]:
        name = PurePosixPath(KEYPOINTS.format("train")).name
        for place in ANYWHERE:
            found = [f for f in self.path.glob(place + name) if f.is_file()]
            if found:
                beside = (file for each in found for file in each.parent.iterdir())
                return [str(file.relative_to(self.path)) for file in beside if file.is_file()]
        return []

    def __contains__(self, member: str) -> bool:
        return member in self.places

    def members(self) -> list[str]:
        """The members the project reads that are there, keypoint files first."""
        names = [kind.format(s) for kind in (KEYPOINTS, CAPTIONS, ACTIVITIES) for s in SPLITS]
        return [name for name in names if name in self]

    def _bytes(self, member: str) -> bytes:
        place = self.places[member]
        try:
            if self.zip is None:
                return (self.path / place).read_bytes()
            if self.zip.getinfo(place).file_size > MOST:
                raise InputError(
                    f"{member} in {shown(self.path)} would unpack to over {MOST / 1e6:.0f} MB: if "
                    "that is right, unpack it and give the folder."
                )
            return self.zip.read(place)
        except NotImplementedError as error:
            raise InputError(
                f"{member} in {shown(self.path)} is compressed in a way that Python cannot read "
                f"({error}): unpack the archive and give the folder."
            ) from None
        # RuntimeError: the zip is encrypted.
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(
                f"{member} in {shown(self.path)} cannot be read ({error}): the file is damaged or "
                "cut off; get it again."
            ) from error

    def hashes(self) -> dict[str, str]:
        """The sha256 of each member's unpacked bytes."""
        return {m: hashlib.sha256(self._bytes(m)).hexdigest() for m in self.members()}

    def read(self, member: str) -> Any:
        """The JSON of ``member``."""
        try:
            return json.loads(self._bytes(member))
        except (ValueError, RecursionError) as error:  # also a UnicodeDecodeError
            raise InputError(
                f"{member} in {shown(self.path)} is not whole, valid JSON ({error}): it may have "
                "been cut off; get it again."
            ) from error


def _together(names: list[str], first: str) -> dict[str, str]:
    """Official names to those of the files in the folder that has the file ``first``; of several
    folders the one that lies highest. Names of a zip from Windows may have backslashes, and one
    from a Mac a second file to each, below __MACOSX/ and with ._ before its name."""
    paths = {PurePosixPath(name.replace("\\", "/")): name for name in names}
    folders = [p.parent for p in paths if p.name == PurePosixPath(first).name]
    folders = [folder for folder in folders if "__MACOSX" not in folder.parts]
    if not folders:
        return {}
    highest = min(folders, key=lambda folder: (len(folder.parts), str(folder)))
    return {f"annotations/{p.name}": name for p, name in paths.items() if p.parent == highest}
