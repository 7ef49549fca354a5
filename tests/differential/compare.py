#!/usr/bin/env python3
"""lariat's HTTP server, h11 and Node's parser on the same mutated streams: lariat is never more lenient on framing than both.

    compare.py --lariat PROGRAM [--seed 1] [--count 2000 | --seconds 60] [--show N]

Each makes of a stream {"requests": [[method, target, body]...], "end", "why"}: the requests that are whole, and how it stands after
them: `refused`, `closed` (a request said so), `waiting` for more, or `upgraded` (what follows is no HTTP). What must hold:

- every request that lariat takes was taken by h11 or by Node, with the same method, target and body; of one that has refused a request
  before it, it is asked what it makes of the stream from that request on;
- where both refuse, lariat does, and no later than they do;
- lariat makes the same of a stream that comes at once and of one that comes in pieces;
- a stream that was not mutated is taken, as all three say.

Where lariat refuses what both take it is stricter, which is allowed; these are counted. A stream is known by its number: --seed N --count 1
runs that one alone. Wants h11 in this Python, and node.
"""

import argparse
import collections
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
AT_ONCE = 500
TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
MISSING = 77


class Reader:
    """A program that reads streams and writes what it makes of each, as a line of JSON."""

    def __init__(self, *command):
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def frames(self, streams):
        """The pipe holds a few answers only, so another process writes while we read."""
        writer = os.fork()
        if writer == 0:
            for stream in streams:
                self.process.stdin.write(struct.pack(">I", len(stream)) + stream)
            self.process.stdin.flush()
            os._exit(0)
        answers = []
        for stream in streams:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{self.name} has ended with {self.process.wait()} on one of {len(streams)} streams, the {len(answers) + 1}th")
            answers.append(json.loads(line))
        os.waitpid(writer, 0)
        return answers


def standing(peer, index, request):
    """How a peer stands to lariat's request number `index`."""
    if index < len(peer["requests"]):
        return "same" if peer["requests"][index] == request else "other"
    if peer["why"].startswith("HPE_INVALID_METHOD") and re.fullmatch(TOKEN, request[0]):
        return "unknown method"     # Node has a list of those that there are; where the message ends is no matter of it
    return peer["end"]


def verdict(lariat, peers):
    """(what is wrong or "", what is to be counted)."""
    live, left = list(peers), []    # those that have framed all alike so far; how the others stood when they did not
    for index, request in enumerate(lariat["requests"]):
        said = [standing(peer, index, request) for peer in live]
        left += [word for word in said if word != "same"]
        live = [peer for peer, word in zip(live, said) if word == "same"]
        if live:
            continue
        if set(left) & {"upgraded", "unknown method"} or set(left) > {"closed"}:
            return "", "nobody to compare with"
        return f"takes request {index}, {request}, which neither takes so", ""
    count = len(lariat["requests"])
    refusals = [len(peer["requests"]) == count and peer["end"] == "refused" for peer in live]
    if len(live) == len(peers) and all(refusals) and lariat["end"] not in ("refused", "closed"):
        return f"is {lariat['end']} after {count} requests, where both refuse", ""
    if lariat["end"] == "refused" and live and not any(refusals):
        return "", f"stricter: {lariat['why']}" if len(live) == len(peers) else "stricter than one"
    return "", "alike" if len(live) == len(peers) else "as one of them"


def from_request(index, text, ours, lariat):
    """The rest of the stream in which lariat finds its requests from that one on."""
    places = [match.end() for match in re.finditer(rb"\n", text)]
    rests = [text[place:] for place in places]
    for rest, found in zip(rests, lariat.frames(rests)):
        if found["requests"] == ours["requests"][index:]:
            return rest
    return None


def judged_alone(text, ours, peers, lariat, node):
    """The verdict where both dropped out: of the stream from that request on, to which one may have come too late."""
    import h11_frames
    while True:
        wrong, counted = verdict(ours, peers)
        if not wrong.startswith("takes"):
            return wrong, counted
        taken = [next((index for index, request in enumerate(ours["requests"]) if standing(peer, index, request) != "same"), None)
                 for peer in peers]
        rest = from_request(max(taken), text, ours, lariat)
        # An empty line before a request is no part of it (RFC 9112, 2.2), but h11 takes it for a request without a line.
        while rest and rest.startswith(b"\r\n"):
            rest = rest[2:]
        if rest is None or len(rest) >= len(text):
            return wrong, counted
        text, ours = rest, lariat.frames([rest])[0]
        peers = [h11_frames.frames(text), node.frames([text])[0]]


def check(numbers, lariat, node, counts):
    """The problems of these streams."""
    import h11_frames
    import streams
    made = [streams.stream(number) for number in numbers]
    texts = [text for text, _ in made]
    of_node, of_h11 = node.frames(texts), [h11_frames.frames(text) for text in texts]
    of_lariat = lariat.frames(texts) if lariat else of_h11
    for number, (text, valid), ours, one, other in zip(numbers, made, of_lariat, of_h11, of_node):
        wrong, counted = verdict(ours, [one, other])
        if wrong and lariat:
            wrong, counted = judged_alone(text, ours, [one, other], lariat, node)
        if "pieces" in ours and not wrong:
            wrong = f"makes another thing of it in pieces: {ours['pieces']}"
        if valid and not wrong and (ours["requests"] != one["requests"] or ours["requests"] != other["requests"]):
            wrong = "does not take a valid stream as both do"
        counts[counted] += 1
        if wrong:
            yield number, wrong, text, ours, one, other


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lariat", help="the program; without it h11 and Node alone are run")
    parser.add_argument("--seed", type=int, default=1, help="the number of the first stream")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0, help="go on for so long")
    parser.add_argument("--show", type=int, default=3, help="problems to print in full")
    options = parser.parse_args()
    try:
        import h11  # noqa: F401
    except ImportError:
        print("skipped: this Python has no h11")
        return MISSING
    if shutil.which("node") is None:
        print("skipped: node is not installed")
        return MISSING
    node = Reader("node", "--no-deprecation", os.path.join(HERE, "node_frames.js"))
    lariat = Reader(options.lariat) if options.lariat else None
    counts, problems, done, started = collections.Counter(), 0, 0, time.monotonic()
    while done < options.count or time.monotonic() - started < options.seconds:
        size = AT_ONCE if options.seconds else min(AT_ONCE, options.count - done)
        first = options.seed + done
        for number, wrong, text, ours, one, other in check(range(first, first + size), lariat, node, counts):
            problems += 1
            if problems <= options.show:
                print(f"stream {number}: lariat {wrong}\n  {text!r}\n  lariat {ours}\n  h11    {one}\n  node   {other}")
        done += size
    for what, count in counts.most_common(40):
        print(f"{count:7} {what}")
    print(f"{done} streams from {options.seed} on, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
