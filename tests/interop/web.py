"""The HTTP server against curl, Python's requests, aiohttp and h11, and wrk."""

import asyncio
import gzip
import os
import re
import socket
import subprocess
import time
from pathlib import Path

from harness import DEADLINE, everything, exactly, example, main, run, same, site, test

TLS = Path(__file__).resolve().parents[1] / "tls"
TRUSTED = ["--cacert", str(TLS / "ca.pem")]
MUCH = os.urandom(3_000_000)


def secure_site():
    return site("tcp://127.0.0.1:0", TLS / "server.pem", TLS / "server.key")


def curl(*arguments, data=b"", code=0):
    """What curl writes; it shows errors, and gives up after a time."""
    return run("curl", "-sS", "--max-time", DEADLINE, *arguments, data=data, code=code)


def status(*arguments, **how):
    return int(curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, **how))


def head(text):
    """(the first line, {name in lower case: value}) of what curl -i writes, for the last response."""
    lines = text.decode("latin-1").split("\r\n\r\n")[-2].split("\r\n")
    return lines[0], {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def files():
    """One that serves ./www, with a secret beside it, and a link to that."""
    folder = Path("www")
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<!doctype html><title>index</title>")
    (folder / "much.bin").write_bytes(MUCH)
    (folder / "lines.txt").write_bytes(b"0123456789")
    (folder / "sub/a b.css").write_bytes(b"p {}")
    (folder / "empty").write_bytes(b"")
    Path("secret").write_bytes(b"secret")
    (folder / "link").symlink_to("../secret")
    return example("file_server", "www", "tcp://127.0.0.1:0")


# ---- curl ----

@test("curl")
def curl_gets_a_text_and_its_head():
    with site() as server:
        line, fields = head(curl("-i", f"{server.url}/hello"))
        assert line == "HTTP/1.1 200 OK", line
        assert fields["content-length"] == "6" and fields["content-type"] == "text/plain" and "date" in fields, fields
        assert curl(f"{server.url}/hello") == b"hello\n"
        line, fields = head(curl("-I", f"{server.url}/hello"))
        assert (line, fields["content-length"]) == ("HTTP/1.1 200 OK", "6")


@test("curl")
def curl_uses_a_connection_again():
    with site() as server:
        told = curl("-w", "%{num_connects} ", *[f"{server.url}/hello"] * 5)
        assert told == b"hello\n1 " + b"hello\n0 " * 4, told
        told = curl("-w", "%{num_connects} ", "-H", "Connection: close", *[f"{server.url}/hello"] * 3)
        assert told == b"hello\n1 " * 3, told
        told = curl("-w", "%{num_connects} ", "-0", *[f"{server.url}/hello"] * 2)
        assert told == b"hello\n1 " * 2, told


@test("curl")
def curl_speaks_http_1_0():
    with site() as server:
        line, fields = head(curl("-0", "-i", f"{server.url}/stream/3"))
        assert line.startswith("HTTP/1.") and "transfer-encoding" not in fields, fields
        assert curl("-0", f"{server.url}/stream/3") == b"line 1\nline 2\nline 3\n"


@test("curl")
def curl_reads_a_stream_in_chunks():
    with site() as server:
        assert head(curl("-i", f"{server.url}/stream/3"))[1]["transfer-encoding"] == "chunked"
        assert curl(f"{server.url}/stream/100000").count(b"\n") == 100000
        slow = curl("--limit-rate", "500k", f"{server.url}/stream/20000")
        assert slow.count(b"\n") == 20000


@test("curl")
def curl_sends_bodies_of_all_kinds():
    with site() as server:
        Path("much").write_bytes(MUCH)
        same(curl("--data-binary", "@much", f"{server.url}/echo"), MUCH)                            # Expect: 100-continue
        same(curl("-T", "-", "-X", "POST", f"{server.url}/echo", data=MUCH), MUCH)                  # in chunks
        same(curl("-0", "--data-binary", "@much", f"{server.url}/echo"), MUCH)
        assert curl("--data", "", f"{server.url}/echo") == b""
        assert curl("--data", "x" * 1000, f"{server.url}/length") == b"1000\n"
        assert curl("-T", "-", "-X", "POST", f"{server.url}/length", data=b"x" * 999_999) == b"999999\n"


@test("curl")
def curl_is_told_to_continue_or_not_to():
    with site() as server:
        Path("some").write_bytes(b"x" * 2000)
        told = curl("-v", "--stderr", "-", "-H", "Expect: 100-continue", "--data-binary", "@some", f"{server.url}/length")
        assert b"< HTTP/1.1 100 Continue" in told and b"2000\n" in told, told
        Path("much").write_bytes(MUCH)
        told = curl("-v", "--stderr", "-", "-H", "Expect: 100-continue", "--expect100-timeout", "5", "--data-binary", "@much",
                    f"{server.url}/length")
        assert b"100 Continue" not in told and b"HTTP/1.1 413" in told, told
        assert status("-H", "Expect: 200-ok", "--data", "x", f"{server.url}/length") == 417


@test("curl")
def curl_sends_more_than_the_limit():
    with site() as server:
        assert status("-T", "-", "-X", "POST", f"{server.url}/length", data=b"x" * 1_000_001) == 413
        Path("head").write_text("X: " + "y" * 40_000)
        assert status("-H", "@head", f"{server.url}/hello") == 431
        assert status(f"{server.url}/{'a' * 9000}") == 414
        assert status(*[word for number in range(110) for word in ("-H", f"X-{number}: y")], f"{server.url}/hello") == 431
        assert curl(f"{server.url}/hello") == b"hello\n"


@test("curl")
def curl_is_told_of_failures():
    with site() as server:
        assert status(f"{server.url}/nothing") == 404
        assert status(f"{server.url}/fail") == 500
        line, fields = head(curl("-i", "-X", "DELETE", f"{server.url}/hello"))
        assert line.startswith("HTTP/1.1 405") and fields["allow"] == "GET, HEAD, OPTIONS", fields
        assert status("-X", "OPTIONS", f"{server.url}/hello") == 204
        assert b"it went wrong" not in curl(f"{server.url}/fail"), "what goes wrong inside is nobody's affair"


@test("curl")
def curl_gets_hints_before_the_answer():
    with site() as server:
        told = curl("-i", f"{server.url}/hints")
        assert told.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"), told


@test("curl")
def curl_leaves_before_the_answer():
    with site() as server:
        curl("--max-time", "0.3", f"{server.url}/later/60000", code=28)
        until = time.monotonic() + DEADLINE
        while b" 1 lost" not in curl(f"{server.url}/state"):
            assert time.monotonic() < until, "the server was not told"
        assert curl(f"{server.url}/later/20") == b"later\n"


@test("curl")
def curl_gets_files_and_parts_of_them():
    with files() as server:
        same(curl(f"{server.url}/much.bin"), MUCH)
        same(curl("-r", "1000000-1999999", f"{server.url}/much.bin"), MUCH[1_000_000:2_000_000])
        assert curl("-r", "2-4", f"{server.url}/lines.txt") == b"234"
        assert curl("-r", "-3", f"{server.url}/lines.txt") == b"789"
        assert curl("-r", "8-", f"{server.url}/lines.txt") == b"89"
        assert status("-r", "20-30", f"{server.url}/lines.txt") == 416
        assert head(curl("-i", "-r", "2-4", f"{server.url}/lines.txt"))[1]["content-range"] == "bytes 2-4/10"
        parts = curl("-r", "0-1,4-5", f"{server.url}/lines.txt")
        assert parts.count(b"Content-Range: bytes ") == 2 and b"\r\n\r\n01\r\n" in parts and b"\r\n\r\n45\r\n" in parts, parts
        assert curl(f"{server.url}/empty") == b""
        assert head(curl("-i", f"{server.url}/sub/a%20b.css"))[1]["content-type"].startswith("text/css")
        Path("part").write_bytes(MUCH[:1_234_567])
        curl("-C", "-", "-o", "part", f"{server.url}/much.bin")                                     # goes on with a download
        same(Path("part").read_bytes(), MUCH)


@test("curl")
def curl_gets_files_that_have_changed():
    with files() as server:
        url, past = f"{server.url}/lines.txt", time.time() - 1000
        os.utime("www/lines.txt", (past, past))
        curl("--etag-save", "tag", "-R", "-o", "copy", url)
        assert status("--etag-compare", "tag", url) == 304
        assert status("-z", "copy", url) == 304
        assert status("-H", "If-None-Match: \"other\"", url) == 200
        assert status("-H", "If-Match: \"other\"", url) == 412
        assert status("-H", "If-Range: \"other\"", "-r", "0-1", url) == 200
        Path("www/lines.txt").write_bytes(b"9876543210")
        assert status("--etag-compare", "tag", url) == 200
        assert status("-z", "copy", url) == 200


@test("curl")
def curl_does_not_get_out_of_the_folder():
    with files() as server:
        for path in ("../secret", "sub/../../secret", "%2e%2e/secret", "sub/%2e%2e%2f%2e%2e%2fsecret", "/../secret", "link",
                     "%2fetc%2fpasswd", "..%5csecret", "sub/..%00/secret", f"{Path.cwd()}/secret", ".hidden"):
            code = status("--path-as-is", f"{server.url}/{path}")
            assert code in (400, 403, 404), f"{path}: {code}"
        assert status("--path-as-is", f"{server.url}/sub/../lines.txt") in (200, 400, 404)
        line, fields = head(curl("-i", f"{server.url}/sub"))
        assert " 30" in line and fields["location"].endswith("/sub/"), (line, fields)
        assert curl(f"{server.url}/").startswith(b"<!doctype html><title>index")


@test("curl")
def curl_comes_by_a_unix_socket():
    place = Path.cwd() / "site.sock"
    with site(f"unix://{place}") as server:
        assert server.address == f"unix://{place}"
        assert curl("--unix-socket", place, "http://any/hello") == b"hello\n"


@test("curl")
def curl_comes_by_tls():
    with secure_site() as server:
        url = f"https://localhost:{server.port}"
        for version, *how in (("2", "--tlsv1.3"), ("2", "--tls-max", "1.2"), ("1.1", "--http1.1"), ("2", "--http2")):
            resolved = [*TRUSTED, "--resolve", f"localhost:{server.port}:127.0.0.1", *how]
            assert curl(*resolved, "-w", "%{http_version}", f"{url}/hello").decode() == f"hello\n{version}", how
            assert curl(*resolved, f"{url}/stream/50000").count(b"\n") == 50000, how
            same(curl(*resolved, "--data-binary", "@-", f"{url}/echo", data=MUCH), MUCH)
        curl("--resolve", f"localhost:{server.port}:127.0.0.1", f"{url}/hello", code=60)              # trusts the system's only
        with server.connect() as connection:        # without TLS there is nothing to be had
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert not everything(connection).startswith(b"HTTP")


@test("curl")
def curl_takes_a_connection_over():
    with site() as server:
        line, fields = head(curl("-i", f"{server.url}/upgrade"))
        assert line.startswith("HTTP/1.1 426") and fields["upgrade"] == "lines"
        with server.connect() as connection:
            connection.sendall(b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\nfirst\n")
            text = exactly(connection, 20)
            while not text.endswith(b"\r\n\r\nfirst\n"):
                text += exactly(connection, 1)
            assert text.startswith(b"HTTP/1.1 101 "), text
            connection.sendall(b"second\n")
            assert exactly(connection, 7) == b"second\n"


@test("curl")
def curl_asks_the_json_api():
    with example("json_api", "tcp://127.0.0.1:0") as server:
        line, fields = head(curl("-i", "--json", '{"text": "hello"}', f"{server.url}/notes"))
        assert line == "HTTP/1.1 201 Created" and fields["location"] == "/notes/1", (line, fields)
        assert curl(f"{server.url}/notes") == b'[{"id": 1, "text": "hello"}]\n'
        assert status("-X", "DELETE", f"{server.url}/notes/1") == 204
        assert curl(f"{server.url}/notes/1") == b'{"error": "there is no such note"}\n'
        assert curl(f"{server.url}/primes/1000000") == b'{"below": 1000000, "primes": 78498}\n'


@test("curl")
def curl_asks_while_a_thread_counts():
    with example("json_api", "tcp://127.0.0.1:0") as server:
        with subprocess.Popen(["curl", "-sS", f"{server.url}/primes/10000000"], stdout=subprocess.PIPE) as long:
            assert curl(f"{server.url}/notes") == b"[]\n"
            assert long.communicate(timeout=DEADLINE)[0] == b'{"below": 10000000, "primes": 664579}\n'


@test("curl")
def a_server_that_is_told_to_stop_finishes_what_it_does():
    with files() as server:
        huge = MUCH * 8  # more than the system's buffers hold
        Path("www/huge.bin").write_bytes(huge)
        with server.connect() as slow, server.connect() as idle:
            idle.sendall(b"GET /lines.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            while not idle.recv(1000).endswith(b"0123456789"):
                pass
            slow.sendall(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            begun = exactly(slow, 1000)
            server.process.terminate()
            assert everything(idle) == b""
            curl(f"{server.url}/lines.txt", code=7)
            same((begun + everything(slow)).partition(b"\r\n\r\n")[2], huge)
        assert server.process.wait(DEADLINE) == 0
        server.lasts = False


@test("curl")
def certificates_are_read_again():
    for name in ("server", "second"):
        Path(f"{name}.pem").write_bytes((TLS / f"{name}.pem").read_bytes())
    Path("site.pem").write_bytes((TLS / "server.pem").read_bytes())
    Path("site.key").write_bytes((TLS / "server.key").read_bytes())

    def subject(server):
        told = curl("-k", "-v", "--stderr", "-", "-o", "/dev/null", f"https://127.0.0.1:{server.port}/")
        return re.search(rb"subject: (.*)", told)[1]

    with example("https_server", "site.pem", "site.key", "tcp://127.0.0.1:0") as server:
        before = subject(server)
        Path("site.pem").write_bytes((TLS / "second.pem").read_bytes())
        Path("site.key").write_bytes((TLS / "second.key").read_bytes())
        server.process.send_signal(1)
        server.line("(reloaded)\n")
        assert subject(server) != before


# ---- all at once ----

@test
def requests_that_come_together_are_answered_in_order():
    with site() as server, server.connect() as connection:
        asked = [b"later/30", b"hello", b"stream/2", b"nothing", b"later/1", b"hello"]
        connection.sendall(b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % page for page in asked[:-1]) +
                           b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        text = everything(connection)
        places = [text.find(word) for word in (b"later\n", b"hello\n", b"line 2\n", b"404 Not Found")]
        assert -1 not in places and places == sorted(places), text
        assert text.count(b"HTTP/1.1 ") == len(asked) and text.endswith(b"hello\n")


@test("wrk")
def wrk_loads_it_for_a_second():
    with site() as server:
        told = run("wrk", "-t1", "-c50", "-d1s", f"{server.url}/hello").decode()
        assert "Non-2xx" not in told and "Socket errors" not in told, told
        assert int(re.search(r"(\d+) requests in", told)[1]) > 0
        assert curl(f"{server.url}/hello") == b"hello\n"


# ---- Python ----

@test("python:requests")
def requests_in_a_session():
    import requests
    with site() as server, requests.Session() as session:
        assert session.get(f"{server.url}/hello", timeout=DEADLINE).text == "hello\n"
        same(session.post(f"{server.url}/echo", data=MUCH, timeout=DEADLINE).content, MUCH)
        pieces = (MUCH[at:at + 70_000] for at in range(0, len(MUCH), 70_000))
        same(session.post(f"{server.url}/echo", data=pieces, timeout=DEADLINE).content, MUCH)         # in chunks
        with session.get(f"{server.url}/stream/1000", stream=True, timeout=DEADLINE) as answer:
            assert [line for line in answer.iter_lines()][-1] == b"line 1000"
        assert session.get(f"{server.url}/nothing", timeout=DEADLINE).status_code == 404
        assert session.post(f"{server.url}/length", data=b"x" * 2_000_000, timeout=DEADLINE).status_code == 413
        packed = gzip.compress(b"x" * 5000)
        answer = session.post(f"{server.url}/length", data=packed, headers={"Content-Encoding": "gzip"}, timeout=DEADLINE)
        assert answer.text == f"{len(packed)}\n"
    with secure_site() as server:
        answer = requests.get(f"https://localhost:{server.port}/hello", verify=str(TLS / "ca.pem"), timeout=DEADLINE)
        assert answer.text == "hello\n"


@test("python:requests")
def requests_gets_files():
    import requests
    with files() as server, requests.Session() as session:
        answer = session.get(f"{server.url}/much.bin", timeout=DEADLINE)
        same(answer.content, MUCH)
        for condition, field in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
            assert session.get(answer.url, headers={condition: answer.headers[field]}, timeout=DEADLINE).status_code == 304
        assert session.get(f"{server.url}/sub", timeout=DEADLINE).url.endswith("/sub/")


@test("python:aiohttp")
def aiohttp_asks_much_at_once():
    import aiohttp

    async def ask(session, url, number):
        if number % 3 == 0:
            async with session.post(f"{url}/echo", data=MUCH[:number * 1000]) as answer:
                same(await answer.read(), MUCH[:number * 1000])
        elif number % 3 == 1:
            async with session.get(f"{url}/stream/{number}") as answer:
                assert (await answer.text()).count("\n") == number
        else:
            async with session.get(f"{url}/later/{number}") as answer:
                assert await answer.text() == "later\n"

    async def all_of_them(url):
        timeout = aiohttp.ClientTimeout(total=DEADLINE)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=50)) as session:
            await asyncio.gather(*(ask(session, url, number) for number in range(200)))

    with site() as server:
        asyncio.run(all_of_them(server.url))


@test("python:h11")
def h11_reads_what_the_server_writes():
    import h11
    pages = [("GET", "/hello", b""), ("POST", "/echo", b"x" * 100_000), ("GET", "/stream/100", b""), ("HEAD", "/hello", b""),
             ("GET", "/fail", b""), ("GET", "/hints", b""), ("OPTIONS", "/hello", b""), ("POST", "/length", b""), ("GET", "/nothing", b"")]
    with site() as server, server.connect() as socket_:
        connection = h11.Connection(h11.CLIENT)
        for method, target, body in pages:
            fields = [("Host", "a"), *([("Transfer-Encoding", "chunked")] if body else [])]
            socket_.sendall(connection.send(h11.Request(method=method, target=target, headers=fields)))
            if body:
                socket_.sendall(connection.send(h11.Data(data=body)))
            socket_.sendall(connection.send(h11.EndOfMessage()))
            received, response = b"", None
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(socket_.recv(65536))
                elif isinstance(event, h11.Data):
                    received += event.data
                elif isinstance(event, h11.Response):
                    response = event
            expected = {"/fail": 500, "/nothing": 404}.get(target, 204 if method == "OPTIONS" else 200)
            assert response.status_code == expected, (target, response)
            if target == "/echo":
                same(received, body)
            connection.start_next_cycle()


main()
