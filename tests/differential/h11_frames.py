"""What h11 makes of a stream: see compare.py for the form of the answer."""

import h11

LARGEST = 64 * 1024


def frames(stream):
    """{"requests": [[method, target, body]], "end", "why"}."""
    connection, requests = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST), []
    connection.receive_data(stream)
    request, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return answer(requests, "waiting", "in a request" if request or connection.trailing_data[0] else "between requests")
            if event is h11.PAUSED:
                return answer(requests, "upgraded", "paused")
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                requests.append([request.method.decode("latin-1"), request.target.decode("latin-1"), body.decode("latin-1")])
                if connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
                    return answer(requests, "upgraded", request.method.decode("latin-1"))
                request = None
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return answer(requests, "closed", "")
                connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        return answer(requests, "refused", str(error))


def answer(requests, end, why):
    return {"requests": requests, "end": end, "why": why}
