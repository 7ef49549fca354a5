#!/usr/bin/env python3
"""The load of the HTTP and TLS workloads, the same for every server, and the one place where they are measured.

    http_load.py workload seconds impl=command...       seconds 0: as long as usual

Starts `command workload` for each implementation as net_client does, loads them by turns, and prints `impl workload value unit`: the
median of the slices. All processes have one processor and are SCHED_BATCH, for net_client's reasons. What is measured is the process
clock of the server, read from outside before and after a slice, for each:

- http_hello: request by wrk, 64 connections kept alive. us.
- tls_bulk: MiB of a file of 1 MiB, which wrk fetches on 8 connections by TLS. us.
- tls_handshake: connection by `openssl s_time -new`: a whole handshake of TLS 1.3, one request by HTTP/1.0, the end. us.
- tls_resumption: the same with a session resumed (`-reuse`, TLS 1.2, where OpenSSL's client can).

BENCH_FOLDER is told to the servers: key.pem and certificate.pem (ECDSA on P-256), www/bulk.
"""
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE_SIZE = 1 << 20
SLICES = 4
DEADLINE = 10
UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def prepare(folder):
    """What the servers serve, and the key they do it with."""
    (folder / "www").mkdir()
    (folder / "www/bulk").write_bytes(os.urandom(FILE_SIZE))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"], check=True, capture_output=True)


class Server:
    def __init__(self, named, workload, folder):
        self.impl, _, command = named.partition("=")
        self.process = subprocess.Popen(["/bin/sh", "-c", f"exec {command} {workload}"], stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "BENCH_FOLDER": str(folder)})
        said = re.fullmatch(r"port (\d+)\n", self.process.stdout.readline())
        if not said:
            fail(self, "does not say its port")
        self.port = int(said[1])
        self.clock = (~self.process.pid << 3) | 2       # clock_getcpuclockid
        until = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > until or self.process.poll() is not None:
                    fail(self, str(error))

    def cpu(self):
        """ns; exact once it sleeps."""
        time.sleep(0.002)
        return time.clock_gettime_ns(self.clock)


def fail(server, why):
    print(f"http_load: {why}\nhttp_load: at fault: {server.impl}", file=sys.stderr)
    sys.exit(1)


def output(server, command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0 and "s_time" not in command:
        fail(server, done.stderr or done.stdout)
    return done.stdout


def wrk(server, connections, url, seconds):
    """(requests, bytes)."""
    said = output(server, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url])
    if "Non-2xx" in said or "Socket errors" in said:
        fail(server, said)
    requests, amount, unit = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+)(\w+) read", said).groups()
    return int(requests), float(amount) * UNITS[unit]


def hello(server, seconds):
    return wrk(server, 64, f"http://127.0.0.1:{server.port}/", seconds)[0]


def bulk(server, seconds):
    return wrk(server, 8, f"https://127.0.0.1:{server.port}/bulk", seconds)[0] * FILE_SIZE / (1 << 20)


def connections(server, seconds, *how):
    said = output(server, ["openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-www", "/", "-time", seconds, *how])
    return int(re.findall(r"(\d+) connections in \d+ real seconds", said)[-1])


def handshake(server, seconds):
    return connections(server, seconds, "-new", "-tls1_3")


def resumption(server, seconds):
    return connections(server, seconds, "-reuse", "-tls1_2")


LOADS = {"http_hello": hello, "tls_bulk": bulk, "tls_handshake": handshake, "tls_resumption": resumption}


def main():
    workload, seconds, named = sys.argv[1], int(sys.argv[2]) or 1, sys.argv[3:]
    load = LOADS[workload]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with tempfile.TemporaryDirectory(prefix="lariat-bench-") as place:
        prepare(Path(place))
        servers = []
        try:
            for each in named:
                servers.append(Server(each, workload, place))
            figures = {server.impl: [] for server in servers}
            for slice_number in range(SLICES + 1):      # the first is not counted
                for server in servers:
                    cpu = server.cpu()
                    done = load(server, seconds)
                    if done == 0 or server.process.poll() is not None:
                        fail(server, f"nothing done in {seconds} s")
                    if slice_number:
                        figures[server.impl].append((server.cpu() - cpu) / done / 1e3)
            for impl, values in figures.items():
                print(f"{impl} {workload} {statistics.median(values):.3f} us")
        finally:
            for server in servers:
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()


if __name__ == "__main__":
    main()
