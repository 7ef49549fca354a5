// What Node's parser makes of streams: reads each with its length in four bytes before it from standard input, and writes a line of
// JSON for each; see compare.py for the form of the answer. This is the parser below node:http, by which its servers read.
'use strict';
// node:http has it no other way. Older versions number the methods by `methods`.
const { HTTPParser, allMethods, methods: someMethods } = process.binding('http_parser');
const methods = allMethods || someMethods;

function frames(stream) {
    const requests = [];
    const parser = new HTTPParser();
    let current = null, closed = false, early = '';
    parser.initialize(HTTPParser.REQUEST, {}, 64 * 1024, 0);
    parser[HTTPParser.kOnMessageBegin | 0] = () => {};
    parser[HTTPParser.kOnHeaders | 0] = (headers, url) => { early += url; };    // of more than 32 fields the first come by this
    parser[HTTPParser.kOnHeadersComplete | 0] = (major, minor, headers, method, url, status, reason, upgrade, keepAlive) => {
        current = { method: methods[method], url: url === undefined ? early : url, body: [], keepAlive };
        early = '';
        return 0;
    };
    parser[HTTPParser.kOnBody | 0] = (bytes, at, length) => {
        current.body.push(at === undefined ? Buffer.from(bytes) : Buffer.from(bytes.subarray(at, at + length)));
    };
    parser[HTTPParser.kOnMessageComplete | 0] = () => {
        requests.push([current.method, current.url, Buffer.concat(current.body).toString('latin1')]);
        closed = !current.keepAlive;
        current = null;
    };
    const result = parser.execute(stream, 0, stream.length);
    if (result instanceof Error) {
        if (closed && result.code === 'HPE_CLOSED_CONNECTION') return { requests, end: 'closed', why: result.code };
        return { requests, end: 'refused', why: `${result.code} ${result.reason}` };
    }
    if (result < stream.length) return { requests, end: 'upgraded', why: '' };
    if (closed) return { requests, end: 'closed', why: '' };
    return { requests, end: 'waiting', why: current ? 'in a request' : '' };
}


let waiting = Buffer.alloc(0);
process.stdin.on('data', (bytes) => {
    waiting = Buffer.concat([waiting, bytes]);
    const lines = [];
    while (waiting.length >= 4) {
        const length = waiting.readUInt32BE(0);
        if (waiting.length < 4 + length) break;
        lines.push(JSON.stringify(frames(Buffer.from(waiting.subarray(4, 4 + length)))));
        waiting = waiting.subarray(4 + length);
    }
    if (lines.length) process.stdout.write(lines.join('\n') + '\n');
});
