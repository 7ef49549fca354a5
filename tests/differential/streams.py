"""Streams of HTTP/1 requests, valid and mutated, from a seed.

A stream is a few pipelined requests, of which the last are plain ones: a server that takes too few or too many bytes for a
body reads those wrongly, which shows. What is put into bodies looks like requests, as a smuggler's would.
"""

import random

PLAIN = b"GET /plain%d HTTP/1.1\r\nHost: a\r\n\r\n"
INSIDE = b"GET /inside HTTP/1.1\r\nHost: a\r\n\r\n"

LENGTHS = [b"+5", b"-5", b"-0", b"0x5", b"5 5", b"5,5", b"5, 5", b"5,6", b"5;", b"5.0", b"5e0", b"05", b"0000000000000000000000005",
           b"", b" ", b"\t5\t",
           b"5\x0b", b"\x0c5", b"\xa05", b"5\x00", b"\xd9\xa5", b"18446744073709551616", b"18446744073709551621", b"9223372036854775808",
           b"99999999999999999999999999", b"4294967301", b"5\r", b"five", b"NaN", b"\"5\"", b"5_0", b"1_0", b"0", b"5 ", b"  5"]
CODINGS = [b"chunked", b"Chunked", b"CHUNKED", b" chunked ", b"\tchunked", b"chunked\t", b"chunked,", b",chunked", b", chunked",
           b"chunked, chunked",
           b"chunked,identity", b"identity", b"identity, chunked", b"gzip", b"gzip, chunked", b"chunked, gzip", b"gzip,chunked",
           b"xchunked", b"chunkedx",
           b"chunke", b"\"chunked\"", b"'chunked'", b"chunked;q=1", b"chunked; q=0", b"\x0bchunked", b"\x0cchunked", b"chunked\x00",
           b"chun\x00ked",
           b"\xa0chunked", b"", b" ", b"chu nked", b"chunked chunked", b"\r\n chunked", b"\n chunked", b"\r chunked", b"cow",
           b"cow, chunked",
           b"trailers", b"deflate, gzip, chunked", b"x\r\n chunked", b"ch\xc5\xafnked", b"\xefchunked"]
LENGTH_NAMES = [b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"Content-Length ", b"Content-Length\t", b" Content-Length",
                b"Content-Length\x00",
                b"Content_Length", b"Content Length", b"\x00Content-Length", b"Content-Length\x0b", b"\"Content-Length\"",
                b"Content-Length\xa0",
                b"X\rContent-Length", b"X\nContent-Length", b"X: y\rContent-Length", b"X: y\nContent-Length", b"Content-\r\n Length",
                b"Content-Lengt\xe8"]
CODING_NAMES = [b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING", b"Transfer-Encoding ", b"Transfer-Encoding\t",
                b" Transfer-Encoding",
                b"Transfer-Encoding\x00", b"Transfer_Encoding", b"Transfer Encoding", b"\x00Transfer-Encoding", b"Transfer-Encoding\x0b",
                b"X\rTransfer-Encoding", b"X\nTransfer-Encoding", b"X: y\rTransfer-Encoding", b"X: y\nTransfer-Encoding",
                b"Transfer-\r\n Encoding",
                b"Transfer-Encodin\xe7", b"TE", b"Trailer"]
SEPARATORS = [b": ", b":", b":  ", b":\t", b" : ", b"\t:", b" ", b"=", b":\r\n ", b":\n ", b":\r", b":\x00", b"::", b": \x0b"]
ENDS = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\n", b"\x00\r\n", b" \r\n", b"\t\r\n", b"\x0b\r\n", b"\xc2\x85", b"\r\n ",
        b"\r\n\t", b"\r\n\r"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.1 ", b"HTTP/1. 1",
            b"http/1.1",
            b"HTTP/1,1", b"HTTP/1", b"HTTP 1.1", b"HTTP/1.1x", b"", b"HTTPS/1.1", b"HTTP/\xd9\xa1.1", b"ICE/1.0", b"RTSP/1.0",
            b"HTTP/+1.1", b"HTTP/1.1\x00"]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND", b"get", b"G ET", b" GET", b"GET\t",
           b"G\x00ET",
           b"GE\xc3\x89T", b"", b"\r\nGET", b"\nGET", b"\r\n\r\nGET", b"G:ET", b"(GET)", b"PRI", b"\x16\x03\x01", b"GET\r",
           b"\xef\xbb\xbfGET", b"CONNECT"]
TARGETS = [b"/", b"/a?b=c", b"*", b"http://a/", b"http://a:80/x", b"a", b"//a", b"/a b", b"/a\tb", b"/a\x00b", b"/\xc3\xa9", b"/a#b",
           b"", b"/%00", b"/\x7f",
           b"/a\rb", b"/a\nb", b"a:80", b"/../..", b"/a\x0bb", b"/" + b"a" * 3000, b"ftp://a/", b"/\"<>", b"?"]
SIZES = [b"%x", b"%X", b"0%x", b"00000000000000%x", b"0x%x", b"+%x", b"-%x", b" %x", b"%x ", b"%x\t", b"\t%x", b"%x;", b"%x;a",
         b"%x;a=b", b"%x;a=\"b\"",
         b"%x; a=b", b"%x ;a=b", b"%x ; a = b", b"%x;a\nb", b"%x;a\rb", b"%x;\x00", b"%x;a=\"\r\n\"", b"%x_", b"%x.", b"%x,",
         b"1000000000000000%x", b"f0000000000000000%x",
         b"fffffffffffffff%x", b"%xg", b"", b"\xd9\xa5", b"%x\x00", b"%x\x0b", b"%x\r", b"%x\n", b"%x;;", b"%x;=", b"%x;\xff",
         b"%x;a=\"b", b"\r\n%x", b"8000000000000000"]
TRAILERS = [b"", b"X: y\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"X y\r\n", b" X: y\r\n",
            b"X : y\r\n", b"X: y\n", b"X: y\r",
            b"X: \x00\r\n", b": y\r\n", b"X: y\r\n z\r\n", INSIDE, b"x", b"\x00", b"X\xff: y\r\n", b"X: \xff\r\n"]
FIELDS = [b"X: y", b"Host: b", b"Host: a", b"Connection: close", b"Connection: keep-alive", b"Connection: keep-alive, close",
          b"Connection: Content-Length", b"Expect: 100-continue",
          b"Expect: more", b": y", b"X", b"X:", b" X: y", b"X : y", b"X\t: y", b"X: y\r\n z", b"X: y\r\n\tz", b"X: y\n z", b"X: \x00",
          b"X: \x01", b"X: \x7f", b"X: \xff",
          b"X\x00: y", b"X\xff: y", b"(X): y", b"X@: y", b"X: y\rZ: w", b"X: y\nZ: w", b"\rX: y", b"\nX: y", b"Te: trailers", b"X[]: y",
          b"X: " + b"y" * 3000, b"{X}: y",
          b"Proxy-Connection: close", b"Keep-Alive: timeout=5", b"Connection:", b"Content-Type: multipart/byteranges", b"X:\t\t",
          b"X: a\x0bb", b"X: a\x0cb"]
BYTES = [b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b"0", b"5", b"\x0b", b"\xff", b"\x7f", b";", b",", b"\"", b"\\", b"/", b"G",
         b"\xa0", b"\r\n\r\n", b"\n\n"]


class Request:
    """A request in parts, so that a mutation knows what it changes."""

    def __init__(self, random_, number):
        self.random = random_
        self.method, self.target, self.version = random_.choice([b"GET", b"POST", b"PUT"]), b"/%d" % number, b"HTTP/1.1"
        self.gaps, self.end = [b" ", b" "], b"\r\n"
        self.fields = [[b"Host", b": ", b"a", b"\r\n"]]      # name, separator, value, end
        self.chunks = None
        self.body = b""
        kind = random_.choice(["none", "length", "chunked", "chunked"])
        if kind == "length":
            self.body = random_.choice([b"", b"hello", INSIDE, b"0\r\n\r\n" + INSIDE, b"0\r\n\r\n"])
            self.fields.append([b"Content-Length", b": ", b"%d" % len(self.body), b"\r\n"])
        elif kind == "chunked":
            # size, end of its line, data, end of it
            self.chunks = [[b"%x" % len(data), b"\r\n", data, b"\r\n"] for data in random_.sample([b"hello", INSIDE, b"0\r\n\r\n",
                b"a" * 20, b"\r\n"], random_.randrange(4))]
            self.last, self.trailers, self.final = [b"0", b"\r\n"], b"", b"\r\n"
            self.fields.append([b"Transfer-Encoding", b": ", b"chunked", b"\r\n"])
        for _ in range(random_.choice([0, 0, 0, 1, 2])):
            self.fields.insert(random_.randrange(len(self.fields) + 1), [b"X-%d" % random_.randrange(9), b": ",
                b"y" * random_.randrange(9), b"\r\n"])

    def mutate(self):
        self.random.choice([self.of_line, self.of_length, self.of_length, self.of_coding, self.of_coding, self.of_fields, self.of_fields,
            self.of_body, self.of_body])()

    def of_line(self):
        choice = self.random.choice
        what = self.random.randrange(6)
        if what == 0:
            self.method = choice(METHODS)
        elif what == 1:
            self.target = choice(TARGETS)
        elif what == 2:
            self.version = choice(VERSIONS)
        elif what == 3:
            self.gaps[self.random.randrange(2)] = choice([b"  ", b"\t", b"", b"\x0b", b"\x0c", b"\xa0", b"\r", b"\n", b" \t"])
        else:
            self.end = choice(ENDS)

    def framing(self, names, values):
        """Changes the framing field that there is, or puts one more in."""
        random_, known = self.random, [names[0].lower()]
        there = [field for field in self.fields if field[0].lower() in known]
        if there and random_.random() < 0.6:
            field = random_.choice(there)
        else:
            field = [names[0], b": ", b"%d" % len(self.body) if names is LENGTH_NAMES else b"chunked", b"\r\n"]
            self.fields.insert(random_.randrange(len(self.fields) + 1), field)
        what = random_.randrange(6)
        if what == 0:
            field[0] = random_.choice(names)
        elif what == 1:
            field[1] = random_.choice(SEPARATORS)
        elif what == 2:
            field[3] = random_.choice(ENDS)
        else:
            field[2] = random_.choice(values)

    def of_length(self):
        self.framing(LENGTH_NAMES, LENGTHS)

    def of_coding(self):
        self.framing(CODING_NAMES, CODINGS)

    def of_fields(self):
        random_ = self.random
        what = random_.randrange(5)
        if what == 0 and self.fields:
            del self.fields[random_.randrange(len(self.fields))]
        elif what == 1 and self.fields:
            self.fields.insert(random_.randrange(len(self.fields) + 1), list(random_.choice(self.fields)))
        elif what == 2 and self.fields:
            random_.choice(self.fields)[random_.choice([1, 3])] = random_.choice(SEPARATORS + ENDS)
        else:
            self.fields.insert(random_.randrange(len(self.fields) + 1), [random_.choice(FIELDS), b"", b"", b"\r\n"])

    def of_body(self):
        random_ = self.random
        if self.chunks is None:
            self.body = random_.choice([b"", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", INSIDE, self.body + b"\r\n", self.body[:-1],
                b"hello"])
            return
        if not self.chunks:
            self.chunks.append([b"5", b"\r\n", b"hello", b"\r\n"])
        chunk, what = random_.choice(self.chunks), random_.randrange(8)
        if what == 0:
            template = random_.choice(SIZES)
            chunk[0] = template.replace(b"%x", b"%x" % len(chunk[2])).replace(b"%X", b"%X" % len(chunk[2]))
        elif what == 1:
            chunk[random_.choice([1, 3])] = random_.choice(ENDS + [b"", b"x\r\n", b"xx"])
        elif what == 2:
            chunk[2] = random_.choice([chunk[2][:-1], chunk[2] + b"x", chunk[2] + b"\r\n", b""])
        elif what == 3:
            self.last[0] = random_.choice([b"00", b"0;a=b", b"000000000000000000000", b"0 ", b" 0", b"0x0", b"-0", b"+0", b"", b"0\t",
                b"0;", b"g", b"0;a\nb"])
        elif what == 4:
            self.last[1] = random_.choice(ENDS)
        elif what == 5:
            self.trailers = random_.choice(TRAILERS)
        else:
            self.final = random_.choice(ENDS + [b"", b"x"])

    def bytes(self):
        head = self.method + self.gaps[0] + self.target + self.gaps[1] + self.version + self.end
        head += b"".join(b"".join(field) for field in self.fields) + b"\r\n"
        if self.chunks is None:
            return head + self.body
        return head + b"".join(b"".join(chunk) for chunk in self.chunks) + b"".join(self.last) + self.trailers + self.final


def of_bytes(random_, stream):
    """A change that knows nothing of HTTP."""
    at, piece = random_.randrange(len(stream) + 1), random_.choice(BYTES)
    what = random_.randrange(5)
    if what == 0:
        return stream[:at] + piece + stream[at:]
    if what == 1:
        return stream[:at] + stream[at + 1:]
    if what == 2:
        return stream[:at] + piece + stream[at + len(piece):]
    if what == 3:
        return stream[:at] + bytes([random_.randrange(256)]) + stream[at + 1:]
    end = min(at + random_.randrange(1, 12), len(stream))
    return stream[:end] + stream[at:end] + stream[end:]


def stream(seed):
    """(the bytes, whether nothing was changed in them)."""
    random_ = random.Random(seed)
    requests = [Request(random_, number) for number in range(random_.randrange(1, 3))]
    mutations = random_.choice([0, 1, 1, 1, 1, 2, 2, 3])
    raw = random_.random() < 0.25
    if mutations and not raw:
        for _ in range(mutations):
            random_.choice(requests).mutate()
    text = b"".join(request.bytes() for request in requests)
    if mutations and raw:
        for _ in range(mutations):
            text = of_bytes(random_, text)
    return text + b"".join(PLAIN % number for number in range(random_.randrange(1, 4))), mutations == 0
