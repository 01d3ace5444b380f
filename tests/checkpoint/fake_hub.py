"""A Hugging Face Hub of one thread: the few answers that fetching a file needs, and the ways they go wrong.

    with FakeHub({"owner/repo": {"sudoku.safetensors": b"..."}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)

Large files answer HEAD like LFS does: a redirect with X-Linked-Etag (the sha256) to another address that serves bytes.
"""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """`requests` is what was asked, as "METHOD path [Range]". The switches may be turned at any time."""

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        self.repos = repos
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self.break_after: list[int] = []  # one entry per GET to come: close the connection after so many bytes
        self.status: list[int] = []  # one entry per GET to come: answer this status, no bytes (0: as usual)
        self.ranges = True  # False: a server that ignores Range
        self.lfs = True  # False: small files in git, whose etag is the blob's sha1
        self.gated: set[str] = set()
        self.etag = ""  # a wrong one to announce
        self.without_length = False  # answer GET without Content-Length: the end of the connection ends the body

    def __enter__(self) -> FakeHub:
        hub = self
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def gets(self) -> list[str]:
        return [request for request in self.requests if request.startswith("GET")]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._note()
        path = unquote(self.path).strip("/")
        kind = "datasets/" if path.startswith("datasets/") else ""  # the repositories of data sets have a prefix
        owner, repo, _, revision, *file = path.removeprefix(kind).split("/")
        name, path = f"{kind}{owner}/{repo}", "/".join(file)
        files = self.hub.repos.get(name)
        if files is None:
            self._answer(401, {"X-Error-Message": "Invalid username or password."})
        elif name in self.hub.gated:
            self._answer(401, {"X-Error-Code": "GatedRepo"})
        elif revision not in ("main", COMMIT):
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif path not in files:
            self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        elif self.hub.lfs:
            data = files[path]
            etag = self.hub.etag or hashlib.sha256(data).hexdigest()
            # Another host name, as with the real storage: the token must not be sent there.
            location = f"http://localhost:{self.server.server_port}/storage/{name}/{path}"
            linked = {"X-Linked-Etag": f'"{etag}"'}
            linked |= {} if self.hub.without_length else {"X-Linked-Size": str(len(data))}
            self._answer(302, {"X-Repo-Commit": COMMIT, "Location": location, **linked})
        else:
            data = files[path]
            etag = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self._answer(200, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'}, length=len(data))

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):  # what huggingface_hub asks of its own accord
            return self._answer(404, {})
        self._note()
        path = unquote(self.path).strip("/").removeprefix("storage/")
        kind = "datasets/" if path.startswith("datasets/") else ""
        stored, parts = "/storage/" in self.path, path.removeprefix(kind).split("/")
        owner, repo, file = *parts[:2], parts[2 if stored else 4 :]
        data = self.hub.repos[f"{kind}{owner}/{repo}"]["/".join(file)]
        if self.hub.status and (status := self.hub.status.pop(0)):
            return self._answer(status, {})
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.hub.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if self.hub.without_length:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.hub.break_after:
            body = body[: self.hub.break_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def _note(self) -> None:
        wanted = self.headers.get("Range")
        self.hub.requests.append(f"{self.command} {self.path}" + (f" {wanted}" if wanted else ""))
        self.hub.tokens.append(self.headers.get("Authorization", ""))

    def _answer(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(key, value)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass
