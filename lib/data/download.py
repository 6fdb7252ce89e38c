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


def fetch_annotations() -> Path:
    """COCO's annotations archive (253 MB) in data/coco, fetched where it is not there yet.

    Raises:
        InputError: as ``fetch``.
    """
    target = paths.COCO / "annotations_trainval2017.zip"
    return fetch(ANNOTATIONS_URL, target, ANNOTATIONS_CHECKSUM)


def fetch(
    url: str,
    target: Path,
    checksum: str,
    attempts: int = 3,
    timeout: float = 30.0,
    pause: float = 2.0,
    progress: bool = True,
) -> Path:
    """Downloads ``url`` to ``target``; does nothing where the right file is there.

    What has come is kept in ``target`` + ".part", where the next attempt, or the next call after
    an interruption, goes on (an HTTP range request). ``target`` appears only when it is whole.

    Args:
        url: http or https.
        target: the file to write.
        checksum: "sha256:..." or "md5:...", hexadecimal.
        attempts: tries in a row that bring nothing before giving up.
        timeout: seconds without a byte before a try is given up.
        pause: seconds before the second try; doubled for each further one.
        progress: whether a bar is shown (on a terminal only).
    Returns:
        ``target``.
    Raises:
        InputError: the server cannot be reached or refuses, or the file is not the one that the
            checksum names (a wrong download is removed, a wrong ``target`` is left alone).
    """
    import requests
    from tqdm import tqdm

    target = Path(target)
    part = target.with_name(target.name + ".part")
    by_hand = f"or fetch it on another machine and put it at {paths.shown(target)}"
    if target.exists():
        if not _matches(target, checksum):
            raise InputError(
                f"{paths.shown(target)} is not the file that {url} gives (its "
                f"{checksum.split(':')[0]} differs; it may be cut off): remove it, and it is "
                "fetched again."
            )
        return target
    target.parent.mkdir(parents=True, exist_ok=True)

    fruitless, most = 0, part.stat().st_size if part.exists() else 0
    with tqdm(
        desc=target.name, unit="B", unit_scale=True, disable=None if progress else True
    ) as bar:
        while True:
            have = part.stat().st_size if part.exists() else 0
            try:
                if _receive(url, part, have, timeout, bar):
                    break
                error: Exception | str = "the connection was cut"
            except requests.HTTPError as refusal:
                if refusal.response.status_code < 500:
                    raise InputError(
                        f"{url} is refused by its server ({refusal.response.status_code} "
                        f"{refusal.response.reason}): try again later, {by_hand}."
                    ) from refusal
                error = refusal
            except requests.exceptions.ChunkedEncodingError:
                error = "the connection was cut"
            except (requests.ConnectionError, requests.Timeout) as failure:
                error = failure
            except requests.RequestException as failure:
                raise InputError(
                    f"{url} cannot be fetched ({_short(failure)}): try again, {by_hand}."
                ) from failure
            now = part.stat().st_size if part.exists() else 0
            fruitless = 0 if now > most else fruitless + 1
            most = max(most, now)
            if fruitless >= attempts:
                kept = (
                    f" {now:,} bytes are kept and the next try goes on from there." if now else ""
                )
                raise InputError(
                    f"{url} cannot be fetched ({_short(error)}): check the network and try again, "
                    f"{by_hand}.{kept}"
                )
            if fruitless:
                time.sleep(pause * 2 ** (fruitless - 1))

    if not _matches(part, checksum):
        part.unlink()
        raise InputError(
            f"What {url} gave is not the published file (its {checksum.split(':')[0]} differs); it "
            f"was removed: try again, {by_hand}."
        )
    part.replace(target)
    return target


def _receive(url: str, part: Path, have: int, timeout: float, bar) -> bool:
    """Appends what the server sends to ``part``, which has ``have`` bytes; True when whole."""
    import requests

    # No compression on the way: ranges count the file's own bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        sent = re.fullmatch(
            r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "")
        )
        total = int(sent[2]) if sent and sent[2] != "*" else None
        if answer.status_code == 416:  # nothing is left to send: whole, or not the same file
            if total == have:
                return True
            part.unlink()
            return False
        answer.raise_for_status()
        follows = answer.status_code == 206 and sent is not None and sent[1] == str(have)
        if answer.status_code == 206 and not follows:
            part.unlink(missing_ok=True)  # not the bytes that were asked for: start over
            return False
        if not follows:  # the server ignores ranges and sends everything
            have = 0
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        bar.total, bar.n = total, have
        bar.refresh()
        with open(part, "ab" if follows else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                have += file.write(chunk)
                bar.update(len(chunk))
    return total is None or have == total


def _matches(path: Path, checksum: str) -> bool:
    kind, _, wanted = checksum.partition(":")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == wanted.lower()


def _short(error: Exception | str) -> str:
    """An error without the objects that requests wraps it in."""
    text = str(error)
    for plain in ("Connection refused", "Name or service not known", "timed out"):
        if plain in text:
            return plain.lower()
    return text if len(text) < 120 else type(error).__name__
