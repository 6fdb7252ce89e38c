"""`make links` asks the addresses of README, pages and bibliography."""

import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lib import paths


@pytest.fixture
def server(tmp_path):
    """A server on this machine that has one page; its address, and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/there" else 404)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}", asked
        found.shutdown()


def links(folder: Path) -> subprocess.CompletedProcess:
    """`make links` in a folder, with the packages that run this test."""
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / ".venv" / "ready").touch()
    shutil.copytree(paths.SOURCE / "book" / "links", folder / "book" / "links")
    command = ["make", "--no-print-directory", "--file", str(paths.SOURCE / "Makefile"), "links"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_dead_addresses_are_named_with_their_place(tmp_path, server):
    address, asked = server
    page = "# A\n\n{cite}`a` {glue:text}`notebooks/x.ipynb::y:s`\n\n```{bibliography}\n```\n"
    files = {
        "README.md": f"# R\n\n[good]({address}/there)\n\n[dead]({address}/away)\n",
        "book/a.md": page,
        "book/references.bib": f"@misc{{a, title={{T}}, year={{2000}}, url={{{address}/lost}}}}",
        "book/_build/left.md": f"[not a source]({address}/left)",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    result = links(tmp_path)
    assert result.returncode != 0
    assert f"README.md:5: [broken] {address}/away: 404" in result.stdout
    assert f"[broken] {address}/lost: 404" in result.stdout
    assert "/there" not in result.stdout and set(asked) == {"/there", "/away", "/lost"}


def test_where_all_addresses_work_nothing_is_said(tmp_path, server):
    (tmp_path / "README.md").write_text(f"# R\n\n[good]({server[0]}/there)\n")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").touch()
    result = links(tmp_path)
    assert (result.returncode, result.stdout) == (0, "") and "/there" in server[1]
