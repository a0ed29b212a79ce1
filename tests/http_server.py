"""A threaded HTTP server over one folder, with ranges, a log and some bad manners."""

import socket
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Server:
    """Serves the files of `folder`.

    Parameters
    ----------
    folder : Path
    ranges : bool
        Whether ranges are honoured; if not, everything is sent.
    length : bool
        Whether the length of a full answer is told; if not, it goes in chunks.
    delay : float
        Seconds before each answer.

    Attributes
    ----------
    url : str
    log : list of (method, path, first, last)
        One per request; ``None, None`` without a range.
    failures : list of int
        The next answers: HTTP statuses, or 0 for a connection that is cut in the middle.
    faults : dict of lists
        The same for the next answers to requests of one path; also ``"reset"`` for a connection that is cut before
        anything is said, ``"short"`` for half of the range that was asked for, and ``"silent"`` for no answer.
    shift : int
        Bytes by which answers to range requests miss what was asked for.
    most_at_once : int
    connections : int
    bytes_sent : int
    """

    def __init__(self, folder: Path, ranges: bool = True, length: bool = True, delay: float = 0.0) -> None:
        self.folder, self.ranges, self.length, self.delay = Path(folder), ranges, length, delay
        self.log: list[tuple[str, str, int | None, int | None]] = []
        self.failures: list[int | str] = []
        self.faults: dict[str, list[int | str]] = {}
        self.connections = 0
        self.closed = threading.Event()
        self.shift = 0
        self.bytes_sent = 0
        self.most_at_once = 0
        self._at_once: Counter[str] = Counter()
        self._lock = threading.Lock()
        handler = type("BoundHandler", (_Handler,), {"owner": self})
        self._server = _ThreadingServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def enter(self, *entry: object) -> int | str | None:
        """Log a request; the failure to play, if any."""
        with self._lock:
            self.log.append(entry)  # type: ignore[arg-type]
            self._at_once["now"] += 1
            self.most_at_once = max(self.most_at_once, self._at_once["now"])
            queue = self.faults.get(str(entry[1])) or self.failures
            return queue.pop(0) if queue else None

    def count_connection(self) -> None:
        with self._lock:
            self.connections += 1

    def leave(self, n_sent: int) -> None:
        with self._lock:
            self._at_once["now"] -= 1
            self.bytes_sent += n_sent


class _ThreadingServer(ThreadingHTTPServer):
    request_queue_size = 256  # else a client that connects often at once must wait for a second

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes
        self.owner.count_connection()

    def log_message(self, *arguments: object) -> None:
        """Keep the test output clean."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        first, last = self._range(self.owner.folder / name)
        failure = self.owner.enter(self.command, name, first, last)
        n_sent = 0
        try:
            time.sleep(self.owner.delay)
            if failure == "silent":
                self.owner.closed.wait(20)
            if failure in ("silent", "reset"):
                raise ConnectionError
            n_sent = self._deliver(name, first, last, body, failure)
        except ConnectionError:
            self.close_connection = True
        finally:
            self.owner.leave(n_sent)

    def _range(self, path: Path) -> tuple[int | None, int | None]:
        wanted = self.headers.get("Range", "")
        if not wanted.startswith("bytes="):
            return None, None
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        size = path.stat().st_size if path.is_file() else 0
        if not first:  # the last bytes
            return max(0, size - int(last)), size - 1
        return int(first), int(last or size - 1)

    def _deliver(self, name: str, first: int | None, last: int | None, body: bool, failure: int | str | None) -> int:
        path = self.owner.folder / name
        if (isinstance(failure, int) and failure) or not path.is_file():
            self.send_response(failure or 404)  # type: ignore[arg-type]
            self.send_header("Content-Length", "0")
            self.end_headers()
            return 0
        size = path.stat().st_size
        if first is None or last is None or not self.owner.ranges:
            return self._send_all(path, size, body)
        if first >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return 0
        first, last = first + self.owner.shift, min(last + self.owner.shift, size - 1)
        if failure == "short":
            last = (first + last) // 2
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with path.open("rb") as stream:
            stream.seek(first)
            data = stream.read(last - first + 1)
        if failure == 0:
            data = data[: len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)
        return len(data)

    def _send_all(self, path: Path, size: int, body: bool) -> int:
        self.send_response(200)
        if self.owner.length:
            self.send_header("Content-Length", str(size))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if not body:
            return 0
        n_sent = 0
        with path.open("rb") as stream:
            while data := stream.read(1 << 18):
                self.wfile.write(data if self.owner.length else b"%x\r\n%b\r\n" % (len(data), data))
                n_sent += len(data)
        if not self.owner.length:
            self.wfile.write(b"0\r\n\r\n")
        return n_sent
