"""Downloads that are cut off, refused, wrong or impossible."""

import hashlib
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lib import paths
from lib.data import download
from lib.errors import InputError

CONTENT = np.random.default_rng(0).bytes(1_000_003)
CUT = 20 * download.CHUNK  # where a connection breaks
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT as its server's attributes say."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status:
            self.answer(server.status.pop(0) if len(server.status) > 1 else server.status[0], b"")
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else None
        if start is None:
            self.answer(200, CONTENT)
        elif start >= len(CONTENT):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(CONTENT)}"})
        else:
            start += server.skew
            extent = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.answer(206, CONTENT[start:], {"Content-Range": extent})

    def answer(self, status, body, headers=None):
        self.send_response(status)
        headers = {"Content-Length": len(body)} | (headers or {})
        if self.server.unsized:
            del headers["Content-Length"]
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(body)
        self.wfile.write(body[:cut])
        if cut < len(body):
            self.close_connection = True


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges = True  # whether parts can be asked for
        server.cuts = []  # after how many bytes each answer is cut off
        server.status = []  # HTTP errors, in turn; the last stays
        server.asked = []  # the Range header of each request
        server.skew = 0  # how far behind the part that was asked for it answers
        server.unsized = False  # whether the length is kept from the client
        server.url = f"http://127.0.0.1:{server.server_port}/annotations.zip"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "coco" / "annotations.zip"


def fetch(server, target, checksum=SHA256, **options):
    return download.fetch(server.url, target, checksum, **{"pause": 0.0} | options)


def part_of(target):
    return target.with_name(target.name + ".part")


@pytest.mark.parametrize("checksum", [SHA256, MD5, SHA256.upper().replace("SHA256", "sha256")])
def test_whole_file_at_once(server, target, checksum):
    assert fetch(server, target, checksum) == target
    assert target.read_bytes() == CONTENT and not part_of(target).exists()
    assert server.asked == [None]


def test_nothing_is_fetched_twice(server, target):
    fetch(server, target)
    fetch(server, target)
    assert len(server.asked) == 1


def test_goes_on_where_the_connection_was_cut(server, target):
    server.cuts = [CUT, 2 * CUT]
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={CUT}-", f"bytes={3 * CUT}-"]


def test_goes_on_in_a_later_call(server, target):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT[:123_456])
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked == ["bytes=123456-"]


def test_server_without_ranges_starts_over(server, target):
    server.ranges = False
    server.cuts = [CUT]
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked == [None, f"bytes={CUT}-"]


def test_server_that_answers_another_range_starts_over(server, target):
    server.cuts, server.skew = [CUT], 7
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked == [None, f"bytes={CUT}-", None]


def test_complete_part_is_taken(server, target):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT)
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked == [f"bytes={len(CONTENT)}-"]


def test_part_that_is_too_long_starts_over(server, target):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT + b"more")
    fetch(server, target)
    assert target.read_bytes() == CONTENT and server.asked[-1] is None


def test_length_unknown(server, target):
    server.unsized = True
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_passing_server_error_is_tried_again(server, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.status = [503, 503, 404]
    with pytest.raises(InputError, match="404"):
        fetch(server, target, pause=2.0)
    assert len(server.asked) == 3 and pauses == [2.0, 4.0]


def one_sentence(error, *parts):
    message = str(error.value)
    return "\n" not in message and all(part in message for part in parts)


def test_wrong_checksum_removes_the_part(server, target):
    with pytest.raises(InputError) as caught:
        fetch(server, target, "md5:" + "0" * 32)
    assert one_sentence(caught, "not the published file", "md5", server.url, str(target))
    assert not target.exists() and not part_of(target).exists()


def test_wrong_beginning_is_noticed(server, target):
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(bytes(1000))
    with pytest.raises(InputError, match="not the published file"):
        fetch(server, target)
    fetch(server, target)  # the wrong part is gone
    assert target.read_bytes() == CONTENT


def test_wrong_target_is_left_alone(server, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    with pytest.raises(InputError) as caught:
        fetch(server, target)
    assert one_sentence(caught, str(target), "remove it") and target.read_bytes() == b"mine"
    assert server.asked == []


def test_refusal(server, target):
    server.status = [403]
    with pytest.raises(InputError) as caught:
        fetch(server, target)
    assert one_sentence(caught, "403", server.url, "put it at", str(target))
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_gives_up_when_nothing_more_comes(server, target, ranges):
    server.ranges = ranges
    server.cuts = [CUT] + ([0] if ranges else [CUT]) * 20
    with pytest.raises(InputError) as caught:
        fetch(server, target, attempts=3)
    assert one_sentence(
        caught, f"{CUT:,} bytes are kept", "connection was cut", "put it at", str(target)
    )
    assert len(server.asked) == 1 + 3
    assert part_of(target).read_bytes() == CONTENT[:CUT] and not target.exists()


def test_offline(target):
    with socket.socket() as unused:  # a port that nobody listens at
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/annotations.zip"
        with pytest.raises(InputError) as caught:
            download.fetch(url, target, SHA256, attempts=2, pause=0.0)
    assert one_sentence(caught, url, "connection refused", "another machine", str(target))
    assert not target.exists() and not part_of(target).exists()


def test_silent_server(target):
    with socket.socket() as mute:  # takes connections and never answers
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/annotations.zip"
        with pytest.raises(InputError, match="timed out"):
            download.fetch(url, target, SHA256, attempts=1, timeout=0.2)


def test_impossible_address(target):
    with pytest.raises(InputError, match="cannot be fetched"):
        download.fetch("nonsense://x/y", target, SHA256, attempts=1)


def test_annotations_go_where_the_project_looks(server, home, monkeypatch):
    monkeypatch.setattr(download, "ANNOTATIONS_URL", server.url)
    monkeypatch.setattr(download, "ANNOTATIONS_CHECKSUM", MD5)
    found = download.fetch_annotations()
    assert found == paths.COCO / "annotations_trainval2017.zip" and found.read_bytes() == CONTENT
