#!/usr/bin/env node
// node:http.
'use strict';
const http = require('node:http');

function http_hello() {
    const server = http.createServer((request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
        response.end('Hello, World!');
    });
    server.listen(0, '127.0.0.1', 1024, () => console.log(`port ${server.address().port}`));
}

const workloads = { http_hello };
if (process.argv.length < 3) console.log(Object.keys(workloads).join('\n'));
else workloads[process.argv[2]]();
