// WebSocket over HTTP/2 (RFC 8441) with Node's own `http2` at both ends, for want of it in `ws`:
// `ws` frames what passes on a stream. As a server (argument: port) it echoes; without an argument it
// is a client that does what lines of JSON on stdin say, as client.cjs.
'use strict';
const http2 = require('http2');
const crypto = require('crypto');
const readline = require('readline');
const WebSocket = require('ws');

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

function framed(stream, isServer) {
  // Unless it is told, `ws` gives an answer to its close frame no more than a millisecond here.
  const socket = new WebSocket(null, undefined, { closeTimeout: 30_000 });
  socket._isServer = isServer;
  stream.setNoDelay = () => {};
  socket.setSocket(stream, Buffer.alloc(0), {
    allowSynchronousEvents: true, maxPayload: 64 << 20, skipUTF8Validation: false,
  });
  return socket;
}

function serve(port) {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers[':method'] !== 'CONNECT' || headers[':protocol'] !== 'websocket') {
      stream.respond({ ':status': 400 }, { endStream: true });
      return;
    }
    const id = new URL(headers[':path'], 'http://app').searchParams.get('id');
    const key = 'sec-websocket-key' in headers;
    stream.respond({ ':status': 200 });
    const socket = framed(stream, true);
    tell({ event: 'open', id, key });
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.on('close', (code, reason) => tell({ event: 'close', id, code, reason: reason.toString() }));
    socket.on('error', () => {});
  });
  server.listen(Number(port), '127.0.0.1', () => tell({ event: 'ready' }));
}

function call() {
  const open = new Map();
  const actions = {
    open({ id, url, host }) {
      const { origin, pathname, search } = new URL(url);
      const session = http2.connect(origin);
      session.on('error', (error) => tell({ event: 'error', id, text: String(error) }));
      session.on('remoteSettings', (settings) => {
        if (open.has(id)) return;
        tell({ event: 'settings', id, takes: settings.enableConnectProtocol });
        const stream = session.request({
          ':method': 'CONNECT', ':protocol': 'websocket', ':authority': host,
          ':path': pathname + search, 'sec-websocket-version': '13',
        }, { endStream: false });
        open.set(id, null);
        stream.on('error', (error) => tell({ event: 'error', id, text: String(error) }));
        stream.on('response', (headers) => {
          tell({ event: 'answer', id, status: headers[':status'],
                 accept: 'sec-websocket-accept' in headers });
          if (headers[':status'] !== 200) return;
          const socket = framed(stream, false);
          open.set(id, socket);
          tell({ event: 'open', id });
          socket.on('message', (data, binary) => tell(
            { event: 'message', id, binary, size: data.length, digest: digest(data) }));
          socket.on('close', (code, reason) => {
            tell({ event: 'close', id, code, reason: reason.toString() });
            session.close();
          });
          socket.on('error', (error) => tell({ event: 'error', id, text: String(error) }));
        });
      });
    },
    text: ({ id, text }) => open.get(id).send(text),
    bytes({ id, size }) {
      const data = crypto.randomBytes(size);
      tell({ event: 'sent', id, digest: digest(data) });
      open.get(id).send(data);
    },
    close: ({ id, code, reason }) => open.get(id).close(code, reason),
  };
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const command = JSON.parse(line);
    actions[command.do](command);
  }).on('close', () => process.exit(0));
  tell({ event: 'ready' });
}

if (process.argv[2]) serve(process.argv[2]); else call();
