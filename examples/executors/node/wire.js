'use strict';
// Protocol buffers, as much as executor.proto needs: each message is a table of its fields.

const messages = {
  DescribeRequest: {},
  Setting: { 1: ['name', 'string'], 2: ['kind', 'int'], 3: ['description', 'string'], 5: ['default', 'string'] },
  DescribeResponse: {
    1: ['name', 'string'], 2: ['version', 'string'], 3: ['runtime', 'string'], 4: ['capabilities', 'int', 'list'],
    5: ['cpus_allowed', 'string'], 6: ['slot_protocol', 'int'], 7: ['settings', 'Setting', 'list'],
  },
  Limits: { 1: ['result_bytes', 'int'], 2: ['output_bytes', 'int'], 3: ['lock_stall_ns', 'int'] },
  ConfigureRequest: {
    1: ['worker_id', 'string'], 2: ['pool', 'string'], 3: ['slots', 'int'], 4: ['runtime_dir', 'string'], 5: ['limits', 'Limits'],
    6: ['settings', 'Pair', 'map'], 8: ['loop_slots', 'int'], 9: ['output_interval_ns', 'int'],
  },
  ConfigureResponse: { 1: ['slot_socket', 'string'], 2: ['runtime', 'string'] },
  CancelRequest: { 1: ['slot', 'int'], 2: ['seq', 'int'], 3: ['reason', 'int'] },
  RecallRequest: { 1: ['slot', 'int'], 2: ['seq', 'int'] },
  ClaimResponse: { 1: ['claim', 'int'] },
  DrainRequest: {},
  DrainResponse: { 1: ['still_running', 'int'] },
  StatsRequest: {},
  StatsResponse: {
    1: ['slots_busy', 'int'], 2: ['tasks_done', 'int'], 3: ['rss_bytes', 'int'], 4: ['cpus_allowed', 'string'], 5: ['threads', 'int'],
    7: ['peak_rss_bytes', 'int'],
  },
  Empty: {},
  Pair: { 1: ['key', 'string'], 2: ['value', 'string'] },
  Hello: { 1: ['slot', 'int'] },
  Task: {
    1: ['seq', 'int'], 2: ['task_id', 'string'], 3: ['script_path', 'string'], 4: ['function', 'string'], 5: ['task_type', 'string'],
    6: ['attempt', 'int'], 8: ['labels', 'Pair', 'map'], 9: ['traceparent', 'string'], 10: ['source', 'string'], 11: ['timeout_ns', 'int'],
    12: ['probe', 'int'], 15: ['payload_length', 'int'],
  },
  Event: {
    1: ['seq', 'int'], 2: ['started', 'Empty'], 3: ['result', 'Result'], 4: ['skipped', 'Empty'], 5: ['partial', 'Partial'],
    6: ['progress', 'Progress'], 7: ['log', 'Log'], 8: ['output', 'Output'], 15: ['payload_length', 'int'],
  },
  Partial: { 1: ['number', 'int'] },
  Progress: { 1: ['fraction', 'double'], 2: ['message', 'string'] },
  Log: { 1: ['level', 'string'], 2: ['message', 'string'] },
  Output: { 1: ['stream', 'int'], 2: ['text', 'string'] },
  Result: {
    1: ['outcome', 'int'], 2: ['error', 'Error'], 3: ['stdout', 'string'], 4: ['stderr', 'string'], 5: ['truncated', 'int'],
    6: ['run_ns', 'int'], 7: ['cpu_ns', 'int'], 9: ['fault', 'int'],
  },
  Error: { 1: ['type', 'string'], 2: ['message', 'string'], 3: ['traceback', 'string'], 4: ['code', 'string'], 5: ['exit_code', 'int'] },
};

// varint: a number loses its last bits beyond 2^53, which matters for no field here.
function varint(n) {
  const bytes = [];
  for (n = Number(n); n > 0x7f; n = Math.floor(n / 128)) bytes.push((n % 128) | 0x80);
  bytes.push(n);
  return Buffer.from(bytes);
}

// readVarint returns [value, position behind it], or null if the buffer ends before.
function readVarint(buffer, at) {
  for (let n = 0, scale = 1; at < buffer.length; scale *= 128) {
    const byte = buffer[at++];
    n += (byte & 0x7f) * scale;
    if (byte < 0x80) return [n, at];
    if (scale > 2 ** 63) throw new Error('a number without end');
  }
  return null;
}

function encodeValue(kind, value) {
  if (kind === 'int') return [0, varint(value)];
  if (kind === 'double') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return [1, bytes];
  }
  const bytes = kind === 'string' ? Buffer.from(value) : encode(kind, value);
  return [2, Buffer.concat([varint(bytes.length), bytes])];
}

function encode(name, message) {
  const parts = [];
  for (const [number, [field, kind, many]] of Object.entries(messages[name])) {
    for (const value of many ? message[field] ?? [] : [message[field]]) {
      if (value === undefined || value === '' || value === 0 || value === false) continue;
      const [type, bytes] = encodeValue(kind, value);
      parts.push(varint(number * 8 + type), bytes);
    }
  }
  return Buffer.concat(parts);
}

const zero = { int: 0, double: 0, string: '' };

function decode(name, buffer) {
  const message = {};
  for (const [field, kind, many] of Object.values(messages[name])) message[field] = many === 'map' ? {} : zero[kind];
  const number = (at) => readVarint(buffer, at) ?? fail();
  for (let at = 0, tag, value; at < buffer.length; ) {
    [tag, at] = number(at);
    const type = tag % 8, spec = messages[name][Math.floor(tag / 8)];
    if (type === 0) [value, at] = number(at);
    else if (type === 1) [value, at] = [buffer.readDoubleLE(at), at + 8];
    else if (type === 5) at += 4;
    else if (type === 2) {
      let size;
      [size, at] = number(at);
      if (at + size > buffer.length) fail();
      [value, at] = [buffer.subarray(at, at + size), at + size];
    } else fail();
    if (!spec) continue; // of a newer version
    const [field, kind, many] = spec;
    if (type === 2) value = kind === 'string' ? value.toString() : decode(kind, value);
    if (many === 'map') message[field][value.key] = value.value;
    else message[field] = value;
  }
  return message;
}

function fail() {
  throw new Error('not a message of this protocol');
}

// frame is a message on a slot: uvarint(length) | header | payload.
function frame(name, message, payload = Buffer.alloc(0)) {
  const header = encode(name, { ...message, payload_length: payload.length });
  return Buffer.concat([varint(header.length), header, payload]);
}

const mostHeader = 16 << 20;

// Frames cuts what a connection brings into messages.
class Frames {
  constructor() {
    this.chunks = [];
    this.size = 0;
    this.needs = 1; // bytes until there can be another message
  }

  push(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
  }

  // next returns [message, payload], or null until more has come.
  next(name) {
    if (this.size < this.needs) return null;
    const buffer = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.chunks = [buffer];
    const length = readVarint(buffer, 0);
    if (!length) return this.wait(buffer.length + 1);
    const [size, at] = length;
    if (size > mostHeader) throw new Error(`a header of ${size} bytes`);
    if (buffer.length < at + size) return this.wait(at + size);
    const message = decode(name, buffer.subarray(at, at + size));
    const end = at + size + (message.payload_length ?? 0);
    if (buffer.length < end) return this.wait(end);
    this.chunks = end < buffer.length ? [buffer.subarray(end)] : [];
    this.size -= end;
    this.needs = 1;
    return [message, buffer.subarray(at + size, end)];
  }

  wait(needs) {
    this.needs = needs;
    return null;
  }
}

module.exports = { encode, decode, frame, Frames };
