// WebSocket clients that do what lines of JSON on stdin say, and tell what they see on stdout.
//
// {"do": "open", "id", "url", "host"}, and for an open one {"do": "text", "id", "text"},
// {"do": "bytes", "id", "size"}, "ping" with "data", "close" with "code" and "reason", "terminate".
'use strict';
const crypto = require('crypto');
const readline = require('readline');
const WebSocket = require('ws');

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');
const open = new Map();
const actions = {
  open({ id, url, host }) {
    const options = { headers: { host }, maxPayload: 64 << 20, perMessageDeflate: false };
    const socket = new WebSocket(url, options);
    open.set(id, socket);
    socket.on('open', () => tell({ event: 'open', id }));
    socket.on('message', (data, binary) => tell(
      { event: 'message', id, binary, size: data.length, digest: digest(data) }));
    socket.on('ping', (data) => tell({ event: 'ping', id, data: data.toString() }));
    socket.on('pong', (data) => tell({ event: 'pong', id, data: data.toString() }));
    socket.on('error', (error) => tell({ event: 'error', id, text: String(error) }));
    socket.on('close', (code, reason) => tell({ event: 'close', id, code, reason: reason.toString() }));
  },
  text: ({ id, text }) => open.get(id).send(text),
  bytes({ id, size }) {
    const data = crypto.randomBytes(size);
    tell({ event: 'sent', id, digest: digest(data) });
    open.get(id).send(data);
  },
  ping: ({ id, data }) => open.get(id).ping(data),
  close: ({ id, code, reason }) => open.get(id).close(code, reason),
  terminate: ({ id }) => open.get(id).terminate(),
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  actions[command.do](command);
}).on('close', () => process.exit(0));
tell({ event: 'ready' });
