"""Fetches a large file over HTTP: goes on where it was cut off, and verifies the whole."""

import hashlib
import re
import time
from pathlib import Path

from lib import paths
from lib.errors import InputError

# The official archive; size and md5 as they are widely published (COCO itself publishes none).
# Plain http: the host's certificate is of another name. The checksum makes up for it.
ANNOTATIONS_URL = "http://images.cocodataset.org/annotations/annotations_trainval2017.zip"
ANNOTATIONS_CHECKSUM = "md5:f4bbac642086de4f52a3fdda2de5fa2c"
CHUNK = 1 << 14  # bytes read at a time; a cut connection loses at most as many
PLAIN = {  # what requests' errors mean, by what is in them
    "Connection broken": "the connection was cut",
    "Connection refused": "connection refused",
    "Name or service not known": "name or service not known",
    "timed out": "timed out",
}


def fetch_annotations() -> Path:
    """COCO's annotations archive (253 MB) in data/coco, fetched where it is not there yet."""
    target = paths.COCO / "annotations_trainval2017.zip"
    return fetch(ANNOTATIONS_URL, target, ANNOTATIONS_CHECKSUM)


def fetch(
    url: str, target: Path, checksum: str, attempts: int = 3, timeout: float = 30, pause: float = 2
) -> Path:
    """Downloads ``url`` to ``target``, unless the right file is there, and returns that.

    What has come is kept in ``target`` + ".part", where the next attempt, or the next call after
    an interruption, goes on (an HTTP range request). ``target`` appears only when it is whole, of
    ``checksum`` "sha256:..." or "md5:...", hexadecimal. A try is given up after ``timeout`` seconds
    without a byte, the whole after ``attempts`` in a row that bring nothing; between them are
    ``pause`` seconds, doubled each time. Raises InputError if the server cannot be reached or
    refuses, or the file is not the one that the checksum names: a wrong download is removed, a
    wrong ``target`` is left alone.
    """
    import requests
    from tqdm import tqdm

    target = Path(target)
    part = target.with_name(target.name + ".part")
    kind = checksum.split(":")[0]
    by_hand = f"or fetch it on another machine and put it at {paths.shown(target)}"
    if target.exists():
        if _matches(target, checksum):
            return target
        raise InputError(
            f"{paths.shown(target)} is not the file that {url} gives (its {kind} differs; it may "
            "be cut off): remove it, and it is fetched again."
        )
    target.parent.mkdir(parents=True, exist_ok=True)

    fruitless, most = 0, _size(part)
    with tqdm(desc=target.name, unit="B", unit_scale=True, disable=None) as bar:  # on a terminal
        while True:
            try:
                _receive(url, part, timeout, bar)
                break
            except requests.RequestException as error:
                now = _size(part)
                fruitless = 0 if now > most else fruitless + 1
                most = max(most, now)
                refused = error.response is not None and error.response.status_code < 500
                # ValueError: an address that cannot be one.
                if fruitless >= attempts or refused or isinstance(error, ValueError):
                    kept = f" {now:,} bytes are kept; the next try goes on from there."
                    raise InputError(
                        f"{url} cannot be fetched ({_short(error)}): check the network and try "
                        f"again later, {by_hand}.{kept if now else ''}"
                    ) from error
            if fruitless:
                time.sleep(pause * 2 ** (fruitless - 1))

    if not _matches(part, checksum):
        part.unlink()
        raise InputError(
            f"What {url} gave is not the published file (its {kind} differs); it was removed: try "
            f"again, {by_hand}."
        )
    part.replace(target)
    return target


def _receive(url: str, part: Path, timeout: float, bar) -> None:
    """Appends what the server sends to ``part``; a requests.RequestException unless that is whole
    then."""
    import requests

    have = _size(part)
    # No compression on the way: ranges count the file's own bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        extent = answer.headers.get("Content-Range", "")
        sent = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", extent)
        start, total = sent.groups() if sent else (None, "")
        if answer.status_code == 416 and total == str(have):
            return  # nothing is left to send
        follows = answer.status_code == 206 and start == str(have)
        if answer.status_code in (206, 416) and not follows:
            part.unlink(missing_ok=True)  # not the bytes that were asked for: start over
            raise requests.ConnectionError("the server has sent another part of the file")
        answer.raise_for_status()
        if not follows:  # the server ignores ranges and sends everything
            have, total = 0, answer.headers.get("Content-Length", "")
        size = int(total) if total.isdigit() else None
        bar.total, bar.n = size, have
        bar.refresh()
        with open(part, "ab" if follows else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                have += file.write(chunk)
                bar.update(len(chunk))
        if size not in (None, have):
            raise requests.ConnectionError("the connection was cut")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _matches(path: Path, checksum: str) -> bool:
    kind, _, wanted = checksum.partition(":")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == wanted.lower()


def _short(error: Exception) -> str:
    """An error without the objects that requests wraps it in."""
    if error.response is not None:
        return f"{error.response.status_code} {error.response.reason}"
    text = str(error)
    for sign, plain in PLAIN.items():
        if sign in text:
            return plain
    return text if len(text) < 120 else type(error).__name__
