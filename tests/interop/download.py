"""The HTTP client, in the example that downloads, against servers and proxies that others wrote: Python's, Node's, nginx."""

import asyncio
import contextlib
import http.server
import os
import ssl
import threading
import zlib
from pathlib import Path

from harness import DEADLINE, Program, main, run, same, test

CERTIFICATES = Path(__file__).resolve().parents[1] / "tls"
MUCH = os.urandom(5_000_000)
FILES = {"hello.txt": b"hello\n", "empty": b"", "much": MUCH, **{f"file{number}": os.urandom(number * 1000) for number in range(40)}}


def download(*urls, connections=8, code=0, **environment):
    """Runs the example; returns the lines of what it says, and the files that it has made."""
    folder = Path("downloaded")
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    said = run(Path(os.environ["LARIAT_EXAMPLES"]) / "download", "-j", connections, "-o", folder, *urls, code=code)
    return said.decode().splitlines(), {path.name: path.read_bytes() for path in folder.iterdir()}


class Handler(http.server.BaseHTTPRequestHandler):
    """FILES, in the framing that the class says."""

    protocol_version = "HTTP/1.1"
    connections = set()
    requests = []

    def do_GET(self):
        Handler.connections.add(self.client_address)
        Handler.requests.append((self.path, self.headers))
        content = FILES.get(self.path.rpartition("/")[2])
        self.send_response(200 if content is not None else 404)
        content = content or b""
        if "zip" in self.path:
            packer = zlib.compressobj(wbits=31 if "gzip" in self.path else 15)
            content = packer.compress(content) + packer.flush()
            self.send_header("Content-Encoding", "gzip" if "gzip" in self.path else "deflate")
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(content), 70_000):
                piece = content[start:start + 70_000]
                self.wfile.write(f"{len(piece):X}\r\n".encode() + piece + b"\r\n")
            self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
            return
        if self.protocol_version != "HTTP/1.0":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def python_server(protocol="HTTP/1.1", tls=None):
    handler = type("Versioned", (Handler,), {"protocol_version": protocol})
    Handler.connections, Handler.requests = set(), []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(DEADLINE)


def check(files, names=FILES):
    for name in names:
        same(files[name], FILES[name])


@test
def pythons_server_and_many_files_on_few_connections():
    with python_server() as url:
        said, files = download(*(f"{url}/{name}" for name in FILES), connections=4)
        check(files)
        assert said[-1] == f"{len(FILES)} downloaded, 0 failed"
        assert len(Handler.connections) <= 4, f"{len(Handler.connections)} connections"


@test
def pythons_server_of_http_1_0_whose_bodies_end_with_the_connection():
    with python_server("HTTP/1.0") as url:
        check(download(*(f"{url}/{name}" for name in FILES))[1])


@test
def chunks_and_compression():
    with python_server() as url:
        for way in ("chunked", "gzip", "zip", "chunked-gzip"):
            check(download(*(f"{url}/{way}/{name}" for name in FILES))[1])


@test
def what_is_not_there_does_not_hold_up_the_others():
    with python_server() as url:
        said, files = download(f"{url}/hello.txt", f"{url}/nothing", "http://127.0.0.1:1/x", "http://nowhere.invalid/y", f"{url}/much", code=1)
        check(files, ["hello.txt", "much"])
        assert sorted(files) == ["hello.txt", "much"], f"left over: {sorted(files)}"
        assert "404 Not Found" in said[1] and "127.0.0.1:1" in said[2] and "nowhere.invalid" in said[3] and said[-1] == "2 downloaded, 3 failed"


@test
def https_of_pythons_ssl():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    with python_server(tls=context) as url:
        check(download(*(f"{url}/{name}" for name in FILES), SSL_CERT_FILE=str(CERTIFICATES / "ca.pem"))[1])
        said, _ = download(f"{url}/hello.txt", code=1, SSL_CERT_FILE=str(CERTIFICATES / "other_ca.pem"))
        assert "localhost" in said[0] and said[-1] == "0 downloaded, 1 failed", said


NODE = """
const http = require('http'), zlib = require('zlib');
const server = http.createServer((request, response) => {
    if (request.url == '/moved') {
        response.writeHead(302, {Location: '/one/../gzip', 'Set-Cookie': 'a=b'});
        return response.end('over there');
    }
    response.setHeader('Content-Type', 'text/plain');
    if (request.url == '/gzip') {
        response.setHeader('Content-Encoding', 'gzip');
        return response.end(zlib.gzipSync('x'.repeat(100000)));
    }
    for (let i = 0; i < 100; i++) response.write('y'.repeat(i * 100));
    response.addTrailers({'X-Trailer': 'z'});
    response.end();
});
server.keepAliveTimeout = 1;
server.listen(0, '127.0.0.1', () => console.log('Listening at http://127.0.0.1:' + server.address().port));
"""


@test("node")
def nodes_server():
    Path("server.js").write_text(NODE)
    with Program("node", "server.js") as server:
        said, files = download(f"{server.address}/moved", f"{server.address}/chunks", *[f"{server.address}/gzip"] * 10, connections=2)
        same(files["moved"], b"x" * 100000)
        same(files["chunks"], b"".join(b"y" * (i * 100) for i in range(100)))
        assert said[-1] == "12 downloaded, 0 failed", said


NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr notice;
events {{ }}
http {{
    access_log off; gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any; keepalive_requests 3;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; location /moved {{ return 301 /hello.txt; }} }}
}}
"""


@test("nginx")
def nginx_compresses_and_ends_connections_after_a_few_requests():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = Path("root").absolute()
    root.mkdir()
    for name, content in FILES.items():
        (root / name).write_bytes(content)
    (root / "text.txt").write_text("all the same\n" * 100_000)
    root.chmod(0o755)
    for parent in [root, *root.parents]:
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o111)
    Path("nginx.conf").write_text(NGINX.format(port=port, root=root))
    command = ("nginx", "-p", Path.cwd(), "-c", "nginx.conf", "-g", "user root;" if os.geteuid() == 0 else "")
    with Program(*command, announces=r"(start worker|using the \"epoll\")", stream="stderr"):
        url = f"http://127.0.0.1:{port}"
        said, files = download(*(f"{url}/{name}" for name in FILES), f"{url}/text.txt", f"{url}/moved", connections=3)
        check(files)
        same(files["text.txt"], (root / "text.txt").read_bytes())
        same(files["moved"], FILES["hello.txt"])
        assert said[-1] == f"{len(FILES) + 2} downloaded, 0 failed", said


class Proxy:
    """A proxy of asyncio's streams: it forwards, and makes tunnels."""

    def __init__(self):
        self.seen = []

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.seen.append(head)
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            first = b""
            writer.write(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        else:
            place, _, path = target.removeprefix("http://").partition("/")
            host, _, port = place.partition(":")
            first = head.replace(target, "/" + path, 1).encode()
        there = await asyncio.open_connection(host, int(port))
        there[1].write(first)
        await asyncio.gather(self.carry(reader, there[1]), self.carry(there[0], writer))

    async def carry(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def proxy():
    made, loop, ready = Proxy(), asyncio.new_event_loop(), threading.Event()

    async def start():
        made.server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.address = "127.0.0.1:%d" % made.server.sockets[0].getsockname()[1]
        ready.set()

    def work():
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)


@test
def a_tunnel_and_a_forwarding_proxy():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    names = ["hello.txt", "much", "file7"]
    with proxy() as by, python_server(tls=context) as url:
        place = url.removeprefix("https://")
        environment = {"SSL_CERT_FILE": str(CERTIFICATES / "ca.pem"), "https_proxy": f"http://me:secret@{by.address}"}
        check(download(*(f"{url}/{name}" for name in names), connections=1, **environment)[1], names)
        assert len(by.seen) == 1 and by.seen[0].startswith(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n"), by.seen
        assert "\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n" in by.seen[0]
        assert not any("proxy-authorization" in headers for _, headers in Handler.requests)
    with proxy() as by, python_server() as url:
        check(download(f"{url}/much", http_proxy=by.address)[1], ["much"])
        assert by.seen and by.seen[0].startswith(f"GET {url}/much HTTP/1.1\r\n"), by.seen
        check(download(f"{url}/much", http_proxy=by.address, no_proxy="localhost")[1], ["much"])
        assert len(by.seen) == 1


if __name__ == "__main__":
    main()
