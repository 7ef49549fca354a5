#!/usr/bin/env node
// ws, from npm.
'use strict';

function websocket_echo() {
    const { WebSocketServer } = require('ws');
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
    server.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
    server.on('listening', () => console.log(`port ${server.address().port}`));
}

const workloads = { websocket_echo };
if (process.argv.length < 3) console.log(Object.keys(workloads).join('\n'));
else workloads[process.argv[2]]();
