"""Slow clients by the thousand, while others are served: slowhttptest at the test site and at the file server."""

import os
import re
import resource
import subprocess
from pathlib import Path

from harness import DEADLINE, example, main, run, site, test

PATIENCE = 4            # seconds that the site has for slow clients
LONGEST = 60
BYTES_EACH = 20_000     # of the server's memory, for a slow client
# The system's buffers would take in megabytes for each.
ENDPOINT = "tcp://127.0.0.1:0?send_buffer=32768&backlog=2048"
SLOW_READ = ["-X", "-w", "10", "-y", "20", "-z", "1"]


def connections():
    """How many the limits of descriptors allow for, up to 2000."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(2000, most // 2 - 100)


def resident(server):
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def get(url):
    return run("curl", "-sS", "-f", "--max-time", DEADLINE, url)


def attacked(server, url, other, *how, bytes_each=BYTES_EACH, is_over=lambda: False):
    """Runs the attack until it ends, or this says so; others are served meanwhile. Returns what it has said."""
    count, before, served = connections(), resident(server), 0
    attack = subprocess.Popen(["slowhttptest", "-c", str(count), "-r", "500", "-l", str(LONGEST), "-p", str(DEADLINE), "-u", url, *how],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    most = before
    while attack.poll() is None and not is_over():
        get(other)
        served += 1
        most = max(most, resident(server))
    attack.terminate()
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", attack.communicate()[0])      # its pipe holds all that it says in this time
    assert served > 10, f"{served} served"
    assert most - before < bytes_each * count, f"{(most - before) / count:.0f} bytes of memory each"
    assert "service available:   NO" not in said, said
    return said


def seen(said):
    """How many there were at most."""
    return max(int(one) + int(other) for one, other in re.findall(r"connected: +(\d+)\s+error: +\d+\s+closed: +(\d+)", said))


def is_rid_of_them(said):
    assert "No open connections left" in said and seen(said) > connections() * 0.8, said


def impatient_site():
    os.environ["SITE_SECONDS"] = str(PATIENCE)
    return site(ENDPOINT)


@test("slowhttptest", "curl", heavy=True, seconds=90)
def slow_headers():
    with impatient_site() as server:
        is_rid_of_them(attacked(server, f"{server.url}/hello", f"{server.url}/hello", "-H", "-i", "1", "-x", "10"))


@test("slowhttptest", "curl", heavy=True, seconds=90)
def slow_bodies():
    with impatient_site() as server:
        is_rid_of_them(attacked(server, f"{server.url}/length", f"{server.url}/hello", "-B", "-i", "1", "-x", "4", "-s", "100000"))


@test("slowhttptest", "curl", heavy=True, seconds=90)
def slow_readers_of_a_stream():
    with impatient_site() as server:
        def all_are_lost():
            return int(re.search(rb"(\d+) lost", get(f"{server.url}/state"))[1]) > connections() * 0.8

        # What waits for each is bounded: see lariat_http_producer. The tool does not notice that it is cut off.
        attacked(server, f"{server.url}/stream/1000000", f"{server.url}/hello", *SLOW_READ, "-n", "5", bytes_each=100_000,
                 is_over=all_are_lost)
        assert all_are_lost()


@test("slowhttptest", "curl", heavy=True, seconds=120)
def slow_readers_of_a_file():
    os.mkdir("www")
    Path("www/much.bin").write_bytes(bytes(5_000_000))
    Path("www/small.txt").write_bytes(b"small")
    with example("file_server", "www", ENDPOINT) as server:
        drain = subprocess.Popen(["cat"], stdin=server.stream, stdout=subprocess.DEVNULL)     # its log
        said = attacked(server, f"{server.url}/much.bin", f"{server.url}/small.txt", *SLOW_READ, "-n", "2", "-l", "15")
        assert seen(said) > connections() * 0.8, said
        drain.kill()
        drain.wait()


main()
