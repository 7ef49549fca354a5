#!/usr/bin/env python3
"""Writes a C program that calls every export of lariat with everything that can be wrong.

    python3 tests/abi/fuzz_handles.py include/lariat.h OUTPUT.c

Each export is one case, `fuzz_<export>`: every handle parameter in turn is NULL, a random number, stale, of each other kind, of a freed
reactor and of another thread, with callbacks and without; every number is extreme; every callback is NULL; text is missing, empty, long and
not UTF-8; structs are missing, have a wrong size, set what no version knows, and are wrong in each of their fields. It must survive, give
the right error, set the last error, and free what it was given exactly once. The work is done by fuzz_handles.h; here the declarations
are read and described. A parameter or a kind of handle that is not known here is an error: it has to be taught, not left out.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Those whose comment says "any thread" (and adopt, which the new owner's thread calls).
ANY_THREAD = {
    "lariat_reactor_adopt",
    "lariat_reactor_stop_from_thread",
    "lariat_reactor_call_from_thread",
    "lariat_reactor_call_from_thread_full",
    "lariat_reactor_call_from_thread_event",
    "lariat_reactor_blocking_call",
    "lariat_reactor_group_stop",
    "lariat_reactor_group_reactor",
}
# Any thread too, and OK means queued: only the reactor's thread can tell whether the Deferred is over.
QUEUES = {
    "lariat_deferred_callback_from_thread",
    "lariat_deferred_callback_from_thread_full",
    "lariat_deferred_errback_from_thread",
    "lariat_deferred_abandon_from_thread",
    "lariat_deferred_release_from_thread",
}
# With good handles these run for ever or block.
BAD_ONLY = {"lariat_reactor_run", "lariat_reactor_run_until_idle", "lariat_reactor_blocking_call"}
# Called outside a callback, they may say so before they look at their second handle.
LENIENT = {"lariat_deferred_wait_for", "lariat_deferred_fail_failure", "lariat_cooperative_task_wait_for"}
# Their answer does not say that they failed, or not why.
LIKE_OK = {"lariat_failure_code", "lariat_failure_os_error", "lariat_failure_exit_signal"}
NULL_TEXT = {"lariat_addresses_text", "lariat_file_path", "lariat_directory_path", "lariat_directory_entries_name", "lariat_http_response_reason",
             "lariat_http_response_url", "lariat_http_response_header", "lariat_http_response_trailer",
             "lariat_websocket_subprotocol",
             *(f"lariat_http_request_{what}" for what in ("method", "target", "path", "query", "query_parameter", "parameter", "host", "header"))}  # others give words that say so
NEGATIVE = {"lariat_http_request_content_length", "lariat_results_index", "lariat_failure_index", "lariat_failure_exit_code"}
CANNOT_FAIL = {"lariat_last_error", "lariat_last_error_message", "lariat_status_name", "lariat_status_message", "lariat_version",
               "lariat_version_number", "lariat_reactors_alive", "lariat_tls_configurations_alive", "lariat_terminal_restore"}

# Callbacks and structs that say "may be NULL".
MAY_BE_NULL = {
    ("lariat_deferred_new_full", "canceller"),
    ("lariat_reactor_defer_later", "fn"),
    ("lariat_reactor_defer_later_full", "fn"),
    ("lariat_deferred_add_callbacks", "callback"),
    ("lariat_deferred_add_callbacks", "errback"),
    ("lariat_deferred_add_callbacks_full", "callback"),
    ("lariat_deferred_add_callbacks_full", "errback"),
    ("lariat_reactor_set_resolver", "fn"),
    ("lariat_reactor_set_resolver_full", "fn"),
    ("lariat_reactor_listen", "build_protocol"),
    ("lariat_reactor_listen_full", "build_protocol"),
    ("lariat_reactor_listen_tls", "build_protocol"),
    ("lariat_reactor_listen_tls_full", "build_protocol"),
    ("lariat_listener_set_handshake_failed", "fn"),
    ("lariat_listener_set_handshake_failed_full", "fn"),
    ("lariat_reconnecting_client_new", "build_protocol"),
    ("lariat_reconnecting_client_new_full", "build_protocol"),
    ("lariat_reconnecting_client_new", "backoff"),
    ("lariat_reconnecting_client_new_full", "backoff"),
    ("lariat_reconnecting_client_new_event", "backoff"),
    ("lariat_reconnecting_client_set_attempt_failed", "fn"),
    ("lariat_reconnecting_client_set_attempt_failed_full", "fn"),
    ("lariat_connection_pool_new", "build_protocol"),
    ("lariat_connection_pool_new_full", "build_protocol"),
    ("lariat_connection_pool_new", "options"),
    ("lariat_connection_pool_new_full", "options"),
    ("lariat_connection_pool_new_event", "options"),
    ("lariat_http_agent_new", "options"),
    ("lariat_http_server_new", "options"),
    ("lariat_http_server_set_access_log", "fn"),
    ("lariat_http_server_set_access_log_full", "fn"),
    ("lariat_reactor_group_new", "options"),
    ("lariat_reactor_connect_websocket", "options"),
    ("lariat_reactor_connect_websocket_event", "options"),
    ("lariat_reactor_group_listen", "build_protocol"),
    ("lariat_reactor_group_listen_full", "build_protocol"),
    ("lariat_reactor_group_start", "setup"),
    ("lariat_reactor_group_start_full", "setup"),
}
# The same, where the answer may be about something else: what is adopted here is no listener.
NULL_NOT_SAID = {("lariat_deferred_new_with_canceller", "canceller"), ("lariat_reactor_adopt_listener", "build_protocol"),
                 ("lariat_reactor_adopt_listener_full", "build_protocol"), ("lariat_reactor_open_serial_port", "options"),
                 ("lariat_reactor_open_serial_port_event", "options"), ("lariat_tls_configuration_new_client", "options"),
                 ("lariat_http_request_accept_websocket", "options"), ("lariat_http_request_accept_websocket_event", "options")}

CALLBACKS = {
    "lariat_call_fn": "quiet_call",
    "lariat_callback_fn": "quiet_value",
    "lariat_errback_fn": "quiet_failure",
    "lariat_both_fn": "quiet_both",
    "lariat_canceller_fn": "quiet_canceller",
    "lariat_trigger_fn": "quiet_trigger",
    "lariat_looping_fn": "quiet_looping",
    "lariat_step_fn": "quiet_step",
    "lariat_ready_fn": "quiet_ready",
    "lariat_signal_fn": "quiet_signal",
    "lariat_file_changed_fn": "quiet_file_changed",
    "lariat_job_fn": "quiet_job",
    "lariat_blocking_fn": "quiet_blocking",
    "lariat_resolver_fn": "quiet_resolver",
    "lariat_build_protocol_fn": "quiet_build",
    "lariat_attempt_failed_fn": "quiet_attempt",
    "lariat_group_setup_fn": "quiet_setup",
    "lariat_http_response_received_fn": "quiet_received",
    "lariat_http_response_ended_fn": "quiet_ended",
    "lariat_handshake_failed_fn": "quiet_handshake",
    "lariat_http_handler_fn": "quiet_handler",
    "lariat_http_body_received_fn": "quiet_body_received",
    "lariat_http_body_ended_fn": "quiet_body_ended",
    "lariat_http_access_fn": "quiet_access",
}
STRUCTS = {"lariat_file_facts": "FACTS", "lariat_reactor_options": "OPTIONS", "lariat_stats": "STATS", "lariat_event": "EVENT",
           "lariat_link": "LINK", "lariat_protocol": "PROTOCOL", "lariat_producer": "PRODUCER", "lariat_datagram_protocol": "DATAGRAM_PROTOCOL",
           "lariat_serial_options": "SERIAL", "lariat_process_options": "PROCESS_OPTIONS", "lariat_process_protocol": "PROCESS_PROTOCOL",
           "lariat_backoff": "BACKOFF", "lariat_connection_pool_options": "CONNECTION_POOL_OPTIONS",
           "lariat_http_agent_options": "HTTP_AGENT_OPTIONS", "lariat_http_request_options": "HTTP_REQUEST_OPTIONS",
           "lariat_http_server_options": "HTTP_SERVER_OPTIONS", "lariat_http_producer": "HTTP_PRODUCER",
           "lariat_websocket_options": "WEBSOCKET_OPTIONS", "lariat_websocket_protocol": "WEBSOCKET_PROTOCOL",
           "lariat_tls_identity": "TLS_IDENTITY", "lariat_tls_server_options": "TLS_SERVER", "lariat_tls_client_options": "TLS_CLIENT"}
# What is given for text, where it is not just any; by function, or by the parameter's name.
CONNECTS = ("lariat_reactor_connect", "lariat_reactor_connect_tls", "lariat_reconnecting_client_new", "lariat_connection_pool_new")
TEXTS = {**{name + way: "tcp://127.0.0.1:1" for name in CONNECTS for way in ("", "_full", "_event")}, "endpoint": "tcp://127.0.0.1:0",
         "lariat_reactor_listen_datagram": "udp://127.0.0.1:0", "lariat_reactor_listen_datagram_event": "udp://127.0.0.1:0",
         "lariat_datagram_port_connect": "udp://127.0.0.1:9", "lariat_address_parse": "127.0.0.1:9", "interface": "127.0.0.1", "url": "http://127.0.0.1:1/", "cookie": "a=b",
         **{"lariat_reactor_connect_websocket" + way: "ws://127.0.0.1:1/" for way in ("", "_event")},
         "group": "239.1.2.3", "lariat_reactor_make_pipe": "/lariat-none/pipe",
         **{"lariat_reactor_watch_path" + way: "/dev/null" for way in ("", "_full", "_event")},
         **{name: "/nonexistent/lariat" for name in ("path", "from", "to", "target", "directory")}}

BAD = "LARIAT_ERR_INVALID_ARGUMENT"
ANY = "WANT_ANYTHING"
# Numbers by type: what an ordinary call gives, by the parameter's name, and the extremes. A delay is refused outside 0 to 1e9, a wait
# when it is negative; an enumeration where no constant names the number.
ORDINARY = {
    "seconds": "1.0", "interval_seconds": "1.0", "max_wait_seconds": "0.0", "budget_seconds": "0.0", "phase": "LARIAT_TRIGGER_BEFORE",
    "event": "LARIAT_TRIGGER_SHUTDOWN", "interest": "LARIAT_READABLE", "ways": "LARIAT_READABLE",
    "readiness": "LARIAT_READABLE", "code": "7", "count": "1",
    "capacity": "4", "mode": "0700", "max_size": "-1", "max_backlog": "-1", "tokens": "1", "size": "2", "header_abi_version": "LARIAT_ABI_VERSION",
    "family": "4", "port": "80", "room": "64",
    "len": "1", "on": "1", "idle": "1.0", "read_rate": "1000.0", "write_rate": "1000.0",
    "delimiter_len": "2", "max_length": "1000", "prefix_bits": "16", "hops": "1", "receive": "65536", "send": "65536", "bytes": "1000",
    "reactors": "1", "number": "SIGURG",
    "grace_seconds": "1.0", "child_fd": "1", "kind": "LARIAT_WEBSOCKET_TEXT", "is_last": "1",
}
WAITS = {"max_wait_seconds", "budget_seconds", "grace_seconds"}
WAITING = {"lariat_reactor_resolve", "lariat_reactor_resolve_by_system"}  # their seconds are a wait too
RATES = {"read_rate", "write_rate"}
ENUMERATIONS = {"number", "signal", "ways", "phase", "event", "interest", "readiness", "flags", "now", "on", "family", "port", "header_abi_version", "value",
                "hops", "prefix_bits", "sharing", "reactors", "whence", "access", "follow", "parents", "data_only", "mode", "kind", "is_last"}
SIZES = {"receive", "send"}  # of a port; those of a connection cannot be negative
BEYOND = {"signal": ("65",), "on": ("2",), "sharing": ("3",), "reactors": ("1025",), "port": ("65536",), "value": ("256",), "hops": ("256",), "prefix_bits": ("7", "24", "64"),
          "receive": ("INT32_MAX + INT64_C(1)",), "send": ("INT32_MAX + INT64_C(1)",), "delimiter_len": ("256",)}  # refused too
LENGTHS = {"len", "delimiter_len"}
ELEMENTS = {"count", "capacity"}


def reals(function, name):
    """A double: time, or a rate."""
    if function == "lariat_transport_set_linger":  # negative: for as long as it takes
        yield from ((each, BAD) for each in ("NAN", "INFINITY", "DBL_MAX", "65535.5"))
        yield from ((each, ANY) for each in ("0.0", "DBL_MIN", "65535.0", "-1.0", "-DBL_MAX", "-INFINITY"))
        return
    yield from ((each, BAD) for each in ("NAN", "-1.0", "-DBL_MIN", "-DBL_MAX", "-INFINITY"))
    if name in RATES:
        yield from ((each, BAD) for each in ("DBL_MIN", "0.99", "1.1e15", "DBL_MAX", "INFINITY"))
        yield from ((each, ANY) for each in ("0.0", "-0.0", "1.0", "1e15"))
        return
    yield from ((each, ANY) for each in ("0.0", "-0.0", "DBL_MIN", "1e9"))
    if function == "lariat_simulation_run":
        return  # would last as long as that
    longest = ANY if name in WAITS or function in WAITING else BAD
    yield from ((each, longest) for each in ("INFINITY", "DBL_MAX", "1000000000.5"))


def lengths(name):
    """Of bytes, for which C alone can vouch: no memory is longer than this."""
    yield from ((each, BAD) for each in ("SIZE_MAX", "SIZE_MAX / 2 + 1", *BEYOND.get(name, ())))
    yield ("0", ANY)


def integers(function, name, kind):
    """Any other number."""
    if name == "struct_size":
        yield from ((each, BAD) for each in ("0", "1", "3"))
        yield ("4096", ANY)
    elif name == "room":
        yield from (("SIZE_MAX", BAD), ("0", ANY), ("1", ANY))
    elif name in ELEMENTS and kind == "size_t":
        yield from ((each, BAD) for each in ("SIZE_MAX", "SIZE_MAX / 2", "SIZE_MAX / 8 + 1"))
        yield ("0", ANY)
    else:
        wild = BAD if name in ENUMERATIONS or name in SIZES and kind == "int64_t" else ANY
        limits = {"int32_t": ("INT32_MIN", "INT32_MAX"), "lariat_status": ("INT32_MIN", "INT32_MAX"), "uint16_t": ("UINT16_MAX",), "uint32_t": ("UINT32_MAX",),
                  "int64_t": ("INT64_MIN", "INT64_MAX"), "uint64_t": ("UINT64_MAX",), "size_t": ("SIZE_MAX", "SIZE_MAX / 2")}
        yield from ((each, wild) for each in limits[kind])
        yield from ((each, "WANT_ERROR" if name == "code" and each == "0" else ANY) for each in ("0", "1"))
        if not kind.startswith("u") and kind != "size_t":
            yield ("-1", wild)
        if name not in SIZES or kind == "int64_t":
            yield from ((each, BAD) for each in BEYOND.get(name, ()))


def fail(message):
    sys.exit(f"fuzz_handles.py: {message}")


def kinds_known():
    with open(os.path.join(HERE, "..", "c", "every_kind.h"), encoding="utf-8") as file:
        return set(re.findall(r"^    (KIND_\w+),", file.read(), re.M)) | {"KIND_JOB"}


def read_header(path):
    """The opaque types, and each function as (answer, name, [(type, name)])."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    text = re.sub(r"^\s*#.*(?:\\\n.*)*$", " ", text, flags=re.M)
    opaque = set(re.findall(r"typedef\s+struct\s+(\w+)\s+\1\s*;", text))
    while re.search(r"\{[^{}]*\}", text.replace('extern "C" {', "")):
        text = re.sub(r"\{[^{}]*\}", ";", text.replace('extern "C" {', ""))
    functions = []
    for statement in text.split(";"):
        statement = " ".join(re.sub(r"\b(struct|extern|LARIAT_API)\b", " ", statement).split())
        match = re.fullmatch(r"([\w *]+?)(lariat_\w+) ?\(([^()]*)\)", statement)
        if statement.startswith("typedef") or not re.search(r"\blariat_\w+ ?\(", statement):
            continue
        if not match:
            fail(f"cannot read the declaration: {statement}")
        parameters = []
        for each in match[3].split(","):
            each = each.strip()
            if each != "void":
                part = re.fullmatch(r"(.*?)(\w+)", each)
                parameters.append((re.sub(r"\s*\*\s*", "*", part[1].strip()).replace("*const*", "*const *"), part[2]))
        functions.append((re.sub(r"\s*\*\s*", "*", match[1].strip()), match[2], parameters))
    if len(functions) < 100:
        fail(f"only {len(functions)} functions found in {path}")
    return opaque, functions


class Writer:
    def __init__(self, opaque):
        self.opaque = opaque
        self.kinds = kinds_known()
        self.lines = []

    def kind_of(self, name, where):
        kind = "KIND_" + name.removeprefix("lariat_").upper()
        if kind not in self.kinds:
            fail(f"{where}: tests/c/every_kind.h does not know how to make a {name}")
        return kind

    def numbers(self, function, name, kind, label, before=""):
        """The table of a number: the ordinary one first. Gives the parameter's fields."""
        field = "real" if kind == "double" else "natural" if kind.startswith("u") or kind == "size_t" else "integer"
        if name == "struct_size":
            ordinary = f"sizeof({function.removesuffix('_init')})"
        else:
            ordinary = ORDINARY.get(name, "0")
        of_bytes = kind == "size_t" and before in ("const uint8_t*", "char*", "uint8_t*")
        rows = [(ordinary, ANY)]
        rows += reals(function, name) if kind == "double" else lengths(name) if of_bytes else integers(function, name, kind)
        self.lines.append(f"static const number {label}[] = {{")
        self.lines += [f"    {{{{.{field} = {value}}}, {want}}}," for value, want in rows]
        self.lines.append("};")
        return f".numbers = {label}, .count = {len(rows)}"

    def parameter(self, function, parameters, at):
        """How one parameter is described, and how it is passed."""
        kind, name = parameters[at]
        if name == "capacity" and parameters[at - 1][0] in ("char*", "uint8_t*"):
            name = "room"  # in bytes
        where = f"{function}, {name}"
        plain = kind.removeprefix("const ")
        handle = re.fullmatch(r"(lariat_\w+)\*", plain)
        after = parameters[at + 1][1] if at + 1 < len(parameters) else ""
        before = parameters[at - 1][0] if at else ""
        value = f"v[{at}].pointer"
        null_want = ANY if (function, name) in NULL_NOT_SAID else "LARIAT_OK" if (function, name) in MAY_BE_NULL else BAD
        if handle and handle[1] in self.opaque:
            return f"ROLE_HANDLE, .kind = {self.kind_of(handle[1], where)}", value
        if handle and handle[1] in STRUCTS:
            return f"ROLE_{STRUCTS[handle[1]]}, .null_want = {null_want}", value
        if handle and handle[1] == "lariat_address":
            return f"ROLE_ADDRESS{'' if kind != plain else '_WRITTEN'}, .null_want = {null_want}", value
        array = re.fullmatch(r"(lariat_\w+)\*const \*", plain)
        if array and after == "count":
            return f"ROLE_HANDLES, .kind = {self.kind_of(array[1], where)}", value
        if kind == "const char*":
            return f"ROLE_TEXT, .text = \"{TEXTS.get(function, TEXTS.get(name, 'text'))}\"", value
        if kind == "const uint8_t*" and after in LENGTHS:
            return "ROLE_BYTES", value
        if kind == "const lariat_part*" and after == "count":
            return "ROLE_PARTS", value
        if kind == "const lariat_datagram*" and after == "count":
            return "ROLE_DATAGRAMS", value
        if kind == "void*":
            if name == "self" and any(other == "protocol" for _, other in parameters):
                return "ROLE_SELF", value
            owned = any(other == "free_" + name for _, other in parameters)
            return ("ROLE_OWNED" if owned else "ROLE_DATA"), value
        if kind == "lariat_free_fn":
            return "ROLE_FREE", f"(lariat_free_fn)v[{at}].function"
        if kind in CALLBACKS:
            return (f"ROLE_CALLBACK, .null_want = {null_want}, .function = (void (*)(void)){CALLBACKS[kind]}", f"({kind})v[{at}].function")
        if kind == "lariat_socket":
            label = f"descriptors_{function}"
            self.lines.append(f"static const number {label}[] = {{")
            for each in ("-1", "INT32_MIN", "INT32_MAX", "1000000"):
                self.lines.append(f"    {{{{.integer = {each}}}, WANT_ERROR}},")
            self.lines.append("};")
            of = ("KIND_SIMULATION" if function.startswith("lariat_simulation_") else "KIND_DATAGRAM_PORT" if "_datagram" in function
                  else "KIND_TRANSPORT")
            role = "ROLE_ADOPTED" if "_adopt_" in function else "ROLE_DESCRIPTOR"
            return f"{role}, .kind = {of}, .numbers = {label}, .count = 4", f"(lariat_socket)v[{at}].integer"
        if re.fullmatch(r"(const )?(lariat_\w+|void|char|size_t|double|u?int\d+_t)\*+", kind):
            return "ROLE_OUTPUT", value
        if kind == "double":
            return "ROLE_NUMBER, " + self.numbers(function, name, kind, f"{name}_{function}"), f"v[{at}].real"
        if kind in ("int32_t", "uint16_t", "uint32_t", "int64_t", "uint64_t", "size_t", "lariat_status"):
            field = "natural" if kind.startswith("u") or kind == "size_t" else "integer"
            table = self.numbers(function, name, kind, f"{name}_{function}", before)
            return f"ROLE_NUMBER, {table}", f"({kind})v[{at}].{field}"
        fail(f"{where}: do not know what to give for a {kind}")

    def function(self, answer, function, parameters):
        described = [self.parameter(function, parameters, at) for at in range(len(parameters))]
        call = f"{function}({', '.join(value for _, value in described)})"
        if function in CANNOT_FAIL:
            answers = "ANSWERS_NOTHING"
        elif function in LIKE_OK or "*" in answer or answer in ("double", "size_t", "uint64_t"):
            answers = "ANSWERS_LIKE_OK"
        elif function in NEGATIVE:
            answers = "ANSWERS_NEGATIVE"
        elif answer in ("lariat_status", "int32_t", "int64_t"):
            answers = "ANSWERS_STATUS"
        else:
            fail(f"{function}: do not know how {answer} tells an error")
        kind = "text" if answer == "const char*" and function not in NULL_TEXT else "pointer" if "*" in answer else "real" if answer == "double" else "number"
        flags = [name for name, functions in (("ANY_THREAD", ANY_THREAD | QUEUES), ("QUEUES", QUEUES), ("BAD_ONLY", BAD_ONLY),
                                              ("LENIENT", LENIENT)) if function in functions]
        flags += [name for name, type_ in (("MAKES_REACTOR", "lariat_reactor*"), ("MAKES_SIMULATION", "lariat_simulation*"),
                                           ("MAKES_GROUP", "lariat_reactor_group*"), ("MAKES_TLS", "lariat_tls_configuration*")) if answer == type_]
        self.lines += [f"static outcome invoke_{function}(const value *v) {{", "    (void)v;",
                       f"    return outcome_of_{kind}({'(int64_t)' if kind == 'number' else ''}{call});", "}"]
        self.lines.append(f"static const parameter parameters_{function}[] = {{")
        self.lines += [f"    {{.name = \"{parameters[at][1]}\", .role = {text}}}," for at, (text, _) in enumerate(described)]
        self.lines += ["    {.name = NULL}", "};"]
        self.lines.append(f"TEST(fuzz_{function}) {{")
        self.lines.append(f"    fuzz(&(const export){{\"{function}\", invoke_{function}, {answers}, {' | '.join(flags) or '0'},"
                          f" parameters_{function}, {len(parameters)}}});")
        self.lines += ["}", ""]


def main():
    if len(sys.argv) != 3:
        fail("usage: fuzz_handles.py HEADER OUTPUT.c")
    header, output = sys.argv[1:]
    opaque, functions = read_header(header)
    names = {name for _, name, _ in functions}
    for known in (ANY_THREAD, QUEUES, BAD_ONLY, LENIENT, LIKE_OK, NEGATIVE, CANNOT_FAIL, {name for name, _ in MAY_BE_NULL | NULL_NOT_SAID}):
        for name in sorted(known - names):
            fail(f"{name} is listed here, but not in {header}")
    writer = Writer(opaque)
    for answer, name, parameters in functions:
        writer.function(answer, name, parameters)
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    runtime = os.path.relpath(os.path.join(HERE, "fuzz_handles.h"), os.path.dirname(os.path.abspath(output)))
    with open(output, "w", encoding="utf-8") as file:
        file.write(f"/* Written by tests/abi/fuzz_handles.py from {os.path.basename(header)}: {len(functions)} exports. */\n")
        file.write(f"#include \"{runtime}\"\n\n" + "\n".join(writer.lines))


if __name__ == "__main__":
    main()
