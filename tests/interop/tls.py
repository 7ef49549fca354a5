"""TLS against OpenSSL, by its own programs and by Python's ssl: the echo example with tls:// endpoints, on either side."""

import os
import select
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from harness import DEADLINE, Program, everything, exactly, example, main, run, same, test

FILES = Path(__file__).resolve().parent.parent / "tls"
ECHO = Path(os.environ.get("LARIAT_EXAMPLES", ".")) / "echo"
HELLO = b"hello\n"
MUCH = os.urandom(5_000_000)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server(*options, certificate="server"):
    own = [f"certificate={FILES}/{certificate}.pem", f"private_key={FILES}/{certificate}.key"]
    return example("echo", "listen", "tls://127.0.0.1:0?" + "&".join([*own, *options]))


def context(version=None, ca="ca", certificate=None):
    """A client of Python's, of one version alone if it is given."""
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one.load_verify_locations(FILES / f"{ca}.pem")
    if version:
        one.minimum_version = one.maximum_version = VERSIONS[version]
    if certificate:
        one.load_cert_chain(FILES / f"{certificate}.pem", FILES / f"{certificate}.key")
    return one


def insecure():
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one.check_hostname, one.verify_mode = False, ssl.CERT_NONE
    return one


def connected(program, one, name="localhost", session=None):
    return one.wrap_socket(program.connect(), server_hostname=name, session=session)


def exchanged(connection, data):
    """What comes back of what is sent, all at once; by one thread: OpenSSL takes no two at once on a connection."""
    came, sent = bytearray(), 0
    connection.setblocking(False)
    while len(came) < len(data):
        try:
            sent += connection.send(data[sent:sent + 65536]) if sent < len(data) else 0
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        try:
            piece = connection.recv(65536)
            assert piece, f"the end after {len(came)} of {len(data)} bytes"
            came += piece
        except ssl.SSLWantReadError:
            ready = select.select([connection], [connection] if sent < len(data) else [], [], DEADLINE)
            assert any(ready), f"nothing comes after {len(came)} of {len(data)} bytes"
    connection.settimeout(DEADLINE)
    return bytes(came)


def s_client(program, *options, before=None, code=0):
    """What `openssl s_client` says on both its streams; it ends when a hello has come back. `before`: a command of its own, and
    what it says to that."""
    command = ["openssl", "s_client", "-connect", f"{program.host}:{program.port}", "-CAfile", FILES / "ca.pem",
               "-verify_return_error", "-servername", "localhost", "-verify_hostname", "localhost", *options]
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    try:
        for text, answer in [before, (HELLO, HELLO)] if before else [(HELLO, HELLO)]:
            process.stdin.write(text)
            process.stdin.flush()
            while answer not in said and (piece := os.read(process.stdout.fileno(), 4096)):
                said += piece
        said += process.communicate(timeout=DEADLINE)[0]
    finally:
        process.kill()
    assert process.returncode == code, f"s_client has ended with {process.returncode}: {said.decode(errors='replace')}"
    return said.decode(errors="replace")


def contains(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in {text!r}"


# ---- our server ----


@test("openssl")
def s_client_of_either_version():
    with server() as program:
        for version, option in (("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")):
            said = s_client(program, option)
            contains(said, f"New, {version}", "Verify return code: 0 (ok)", "Verified peername: localhost", "hello\n")


@test("openssl")
def s_client_negotiates_a_protocol():
    with server("alpn=h2,http/1.1") as program:
        contains(s_client(program, "-alpn", "http/1.1,h2"), "ALPN protocol: h2")
        contains(s_client(program, "-alpn", "spdy/3", code=1), "no application protocol")


@test("openssl")
def s_client_changes_the_keys():
    with server() as program:
        contains(s_client(program, "-tls1_3", before=(b"K\n", b"KEYUPDATE\n")), "KEYUPDATE", "hello\n")


@test("openssl")
def s_client_resumes_its_session():
    with server() as program:
        for option in ("-tls1_2", "-tls1_3"):
            s_client(program, option, "-sess_out", "session")
            contains(s_client(program, option, "-sess_in", "session"), "Reused, TLSv1")


@test("openssl")
def s_client_shows_a_certificate_where_one_is_required():
    with server(f"client_ca={FILES}/ca.pem", "client_certificates=required") as program:
        for option in ("-tls1_2", "-tls1_3"):
            contains(s_client(program, option, "-cert", FILES / "client.pem", "-key", FILES / "client.key"), "hello\n")
        contains(s_client(program, "-tls1_2", code=1), "alert")


@test("openssl")
def s_client_that_speaks_only_what_is_too_old():
    with server("minimum_version=1.3") as program:
        contains(s_client(program, "-tls1_2", code=1), "alert protocol version")
        contains(s_client(program, "-tls1_3"), "hello\n")


@test("openssl")
def an_rsa_certificate():
    with server(certificate="rsa") as program:
        for option in ("-tls1_2", "-tls1_3"):
            contains(s_client(program, option), "Verify return code: 0 (ok)", "hello\n")


@test("openssl")
def s_client_is_killed_and_others_are_served():
    with server() as program:
        for _ in range(5):
            command = ["openssl", "s_client", "-connect", f"{program.host}:{program.port}", "-CAfile", str(FILES / "ca.pem"), "-quiet"]
            with Program(*command, announces="(verify return:1)", stream="stderr", lasts=False) as client:
                client.process.send_signal(signal.SIGKILL)
        contains(s_client(program), "hello\n")


@test
def python_sends_megabytes():
    with server() as program:
        for version in VERSIONS:
            with connected(program, context(version)) as connection:
                assert connection.version() == f"TLSv{version}"
                same(exchanged(connection, MUCH), MUCH)


@test
def python_ends_in_good_order():
    with server() as program:
        for version in VERSIONS:
            with connected(program, context(version)) as connection:
                same(exchanged(connection, HELLO), HELLO)
                # Our close_notify is there, or this raises.
                connection.unwrap().close()


@test
def python_resumes_its_session():
    with server() as program:
        for version in VERSIONS:
            one = context(version)
            with connected(program, one) as connection:
                same(exchanged(connection, HELLO), HELLO)
                session = connection.session
                connection.unwrap().close()
            with connected(program, one, session=session) as connection:
                assert connection.session_reused
                same(exchanged(connection, HELLO), HELLO)


@test
def python_does_not_trust_just_anybody():
    for certificate, why in (("expired", "expired"), ("unknown", "unable to get local issuer"), ("wrong_name", "Hostname mismatch")):
        with server(certificate=certificate) as program:
            try:
                connected(program, context())
            except ssl.SSLCertVerificationError as error:
                contains(str(error), why)
            else:
                raise AssertionError(f"{certificate} was trusted")
            # And the server lives on.
            with connected(program, insecure()) as connection:
                same(exchanged(connection, HELLO), HELLO)


@test
def python_writes_records_of_one_byte():
    with server() as program, connected(program, context()) as connection:
        for place in range(500):
            connection.sendall(MUCH[place:place + 1])
        same(exactly(connection, 500), MUCH[:500])


# ---- our client ----


def python_server(version=None, certificate="server", alpn=None, client_ca=None, ends=ssl.SSLSocket.unwrap):
    """A server of Python's for one connection, on a thread: echoes, and ends so. Gives its port, the thread and what it saw."""
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    one.load_cert_chain(FILES / f"{certificate}.pem", FILES / f"{certificate}.key")
    if version:
        one.minimum_version = one.maximum_version = VERSIONS[version]
    if alpn:
        one.set_alpn_protocols(alpn)
    if client_ca:
        one.verify_mode = ssl.CERT_REQUIRED
        one.load_verify_locations(FILES / f"{client_ca}.pem")
    seen = {}
    one.sni_callback = lambda _socket, name, _context: seen.setdefault("name", name) and None
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listening, listening.accept()[0] as accepted:
            accepted.settimeout(DEADLINE)
            try:
                with one.wrap_socket(accepted, server_side=True) as connection:
                    seen.update(version=connection.version(), alpn=connection.selected_alpn_protocol(), peer=connection.getpeercert())
                    connection.sendall(everything(connection))
                    ends(connection)
            except OSError as error:
                seen["error"] = str(error)

    thread = threading.Thread(target=serve)
    thread.start()
    return listening.getsockname()[1], thread, seen


def our_client(port, *options, words="hello", code=0, host="localhost"):
    endpoint = f"tls://{host}:{port}?" + "&".join([f"ca={FILES}/ca.pem", *options])
    command = [str(ECHO), "connect", endpoint, words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)
    assert done.returncode == code, f"it has ended with {done.returncode}: {done.stderr.decode()}"
    return done.stdout.decode() + done.stderr.decode()


@test
def our_client_and_a_server_of_either_version():
    for version in VERSIONS:
        port, thread, seen = python_server(version, alpn=["http/1.1"])
        same(our_client(port, "alpn=h2,http/1.1"), "hello\n")
        thread.join(DEADLINE)
        assert seen["version"] == f"TLSv{version}" and seen["alpn"] == "http/1.1" and seen["name"] == "localhost", seen


@test
def our_client_shows_its_certificate():
    for version in VERSIONS:
        port, thread, seen = python_server(version, client_ca="ca")
        same(our_client(port, f"certificate={FILES}/client.pem", f"private_key={FILES}/client.key"), "hello\n")
        thread.join(DEADLINE)
        assert seen["peer"]["subject"] == ((("commonName", "client"),),), seen


@test
def our_client_does_not_trust_just_anybody():
    for certificate, why in (("expired", "has expired, on 2021-01-01"), ("unknown", "issued by nobody that is trusted"),
                             ("wrong_name", "for elsewhere.test, www.elsewhere.test, not for localhost")):
        for version in VERSIONS:
            port, thread, seen = python_server(version, certificate)
            contains(our_client(port, code=1), f"connecting to localhost:{port}: ", why)
            thread.join(DEADLINE)
            assert "error" in seen, seen


@test
def our_client_tells_a_cut_from_an_end():
    def cut(connection):
        os.close(connection.detach())

    for version in VERSIONS:
        port, thread, _seen = python_server(version, ends=cut)
        contains(our_client(port, code=1), "without a close_notify")
        thread.join(DEADLINE)


@test("openssl")
def our_client_and_s_server():
    for option in ("-tls1_2", "-tls1_3"):
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", FILES / "server.pem", "-key", FILES / "server.key",
                   "-rev", option, "-naccept", "1"]
        with Program(*command, announces=r"ACCEPT 127\.0\.0\.1:(\d+)", lasts=False) as program:
            # It answers line by line, in reverse, and then hears of the end.
            contains(our_client(program.address, words="hello\n"), "olleh")


if __name__ == "__main__":
    main()
