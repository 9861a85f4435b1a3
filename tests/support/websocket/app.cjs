// A WebSocket server that echoes, and tells what it sees as lines of JSON.
//
// The path says what else it does: /close?code=C&reason=R closes once connected, /ping?data=D pings,
// /terminate breaks off, /refuse answers 403. Any other request gets the page that is given as the
// second argument; POST /report prints its body.
'use strict';
const http = require('http');
const fs = require('fs');
const { WebSocketServer } = require('ws');

const tell = (event) => process.stdout.write(JSON.stringify(event) + '\n');
const page = fs.readFileSync(process.argv[3]);
const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 << 20, perMessageDeflate: true });

const server = http.createServer((request, answer) => {
  if (request.method !== 'POST') {
    answer.setHeader('content-type', 'text/html; charset=utf-8');
    answer.end(page);
    return;
  }
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    tell({ event: 'report', report: JSON.parse(Buffer.concat(pieces).toString()) });
    answer.end();
  });
});

server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url, 'http://app');
  if (url.pathname === '/refuse') {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (found) => serve(found, url, request));
});

function serve(socket, url, request) {
  const id = url.searchParams.get('id');
  tell({ event: 'open', id, by: request.headers['x-forwarded-client-cert'] || '' });
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('ping', (data) => tell({ event: 'ping', id, data: data.toString() }));
  socket.on('pong', (data) => tell({ event: 'pong', id, data: data.toString() }));
  socket.on('error', (error) => tell({ event: 'error', id, text: String(error) }));
  socket.on('close', (code, reason) => tell({ event: 'close', id, code, reason: reason.toString() }));
  if (url.pathname === '/close') {
    const code = url.searchParams.get('code');
    socket.close(code ? Number(code) : undefined, url.searchParams.get('reason') || '');
  }
  if (url.pathname === '/ping') socket.ping(url.searchParams.get('data'));
  if (url.pathname === '/terminate') socket.terminate();
}

server.listen(Number(process.argv[2]), '127.0.0.1', () => tell({ event: 'ready' }));
