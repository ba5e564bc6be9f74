'use strict';
// A gRPC server of unary calls over node's HTTP/2, without encryption, as go-plugin's client needs it.

const http2 = require('node:http2');
const { encode, decode } = require('./wire.js');

// Status is an error with a gRPC status code.
class Status extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
Object.assign(Status, { INVALID_ARGUMENT: 3, FAILED_PRECONDITION: 9, UNIMPLEMENTED: 12, INTERNAL: 13 });

const units = { H: 3600e3, M: 60e3, S: 1e3, m: 1, u: 1e-3, n: 1e-6 };

// timeoutOf is how many milliseconds a call may take.
function timeoutOf(headers) {
  const said = /^(\d+)([HMSmun])$/.exec(headers['grpc-timeout'] ?? '');
  return said ? Number(said[1]) * units[said[2]] : Infinity;
}

// serve answers methods: { '/service/Method': [request's message, response's message, async (request, timeout) => response] }.
function serve(methods) {
  const server = http2.createServer();
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => {}); // the caller has gone
    try {
      const method = methods[headers[':path']];
      // Before the request's end: go-plugin opens streams that we don't have, and never ends them.
      if (!method) throw new Status(Status.UNIMPLEMENTED, `no method ${headers[':path']}`);
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) throw new Status(Status.INTERNAL, 'one uncompressed message expected');
      const [request, response, call] = method;
      const answer = encode(response, await call(decode(request, body.subarray(5)), timeoutOf(headers), stream));
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(answer.length, 1);
      if (stream.destroyed) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat([prefix, answer]));
    } catch (error) {
      if (stream.destroyed) return;
      stream.respond({
        ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(error.code > 0 ? error.code : Status.INTERNAL),
        'grpc-message': encodeURIComponent(error.message),
      }, { endStream: true });
    }
  });
  return server;
}

module.exports = { serve, Status };
