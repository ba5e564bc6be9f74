'use strict';
// An executor for cpulbd, written from docs/plugins.md and executor.proto: go-plugin's handshake
// and the control plane. Scripts never run on this thread, so a call is answered whatever they do.

const fs = require('node:fs');
const { Writable } = require('node:stream');

const HANDSHAKE = 6, LOG = 7; // descriptors, see cpulb-node
// Node's own streams of descriptors 1 and 2, which some of its modules ask for, would make these
// non-blocking, and scripts' writes to them fail.
for (const name of ['stdout', 'stderr']) {
  const write = (text, _, done) => done(void fs.writeSync(LOG, text));
  Object.defineProperty(process, name, { value: new Writable({ write }) });
}

const net = require('node:net');
const path = require('node:path');
const { serve, Status } = require('./grpc.js');
const { Slot } = require('./slot.js');

const CANCEL = 1, EVENTS = 2, OUTPUT = 8; // Capability
const DURATION = 4, BYTES = 5; // SettingKind
const runtime = `Node.js ${process.version}`;

const settings = {
  heap: { kind: BYTES, default: "node's own", description: "The most that a slot's JavaScript heap may have; a task that needs more fails." },
  terminate_after: { kind: DURATION, default: '500ms', description: 'How long a task that is asked to stop may go on until its thread is ended.' },
};

let slots = null;
let draining = false;
let drained = () => {}; // called when a task has ended
const stats = { done: 0 };

const log = (level, message) => fs.writeSync(LOG, JSON.stringify({ '@level': level, '@message': message }) + '\n');

// kernel is what /proc says of this process.
function kernel(key) {
  return new RegExp(`^${key}:\\s*(\\S+)`, 'm').exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '';
}

function milliseconds(text) {
  const units = { h: 3600e3, m: 60e3, s: 1e3, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };
  const parts = [...text.matchAll(/([\d.]+)(h|ms|m|s|us|µs|ns)/g)];
  if (parts.map((p) => p[0]).join('') !== text || !parts.length) throw new Status(Status.INVALID_ARGUMENT, `terminate_after: ${text} is not a duration such as "500ms"`);
  return parts.reduce((sum, [, n, unit]) => sum + Number(n) * units[unit], 0);
}

function heapMegabytes(text) {
  const megabytes = Number(text) / 2 ** 20;
  if (!(megabytes >= 8)) throw new Status(Status.INVALID_ARGUMENT, `heap: ${text} is not a number of bytes of at least 8MiB`);
  return megabytes;
}

async function configure(request) {
  if (request.slots < 1) throw new Status(Status.INVALID_ARGUMENT, 'slots: must be at least 1');
  if (request.loop_slots) throw new Status(Status.INVALID_ARGUMENT, 'async_concurrency: every slot here is a thread with an event loop of its own; use threads');
  for (const name of Object.keys(request.settings)) {
    if (!settings[name]) throw new Status(Status.INVALID_ARGUMENT, `settings: ${name} is unknown; there are ${Object.keys(settings).join(' and ')}`);
  }
  const terminateAfter = milliseconds(request.settings.terminate_after || '500ms');
  const heap = request.settings.heap ? heapMegabytes(request.settings.heap) : undefined;
  if (slots) throw new Status(Status.FAILED_PRECONDITION, 'configured already');
  for (const name of Object.keys(process.env)) {
    if (/^(PLUGIN_|CPULB_)/.test(name) && name !== 'CPULB_WORKER') delete process.env[name];
  }
  const cpus = kernel('Cpus_allowed_list');
  const worker = {
    terminateAfter, heap, log, id: request.worker_id, limits: request.limits, outputInterval: (request.output_interval_ns ?? 0) / 1e6, core: /^\d+$/.test(cpus) ? Number(cpus) : -1,
    draining: () => draining, ended: () => drained(), done: () => stats.done++,
  };
  slots = Array.from({ length: request.slots }, (_, index) => new Slot(worker, index));
  await Promise.all(slots.map((slot) => slot.ready));
  const socket = path.join(request.runtime_dir, 'node.sock');
  await listen(net.createServer((connection) => Slot.accept(slots, connection, log)), socket);
  return { slot_socket: socket, runtime };
}

function slotOf({ slot, seq }) {
  if (!slots?.[slot] || seq === 0) throw new Status(Status.INVALID_ARGUMENT, `no task ${seq} on slot ${slot}`);
  return slots[slot];
}

// drain refuses what has not been claimed, and waits for the rest or the call's deadline.
async function drain(timeout) {
  draining = true;
  const running = () => slots?.filter((slot) => slot.running).length ?? 0;
  slots?.forEach((slot) => slot.next());
  await new Promise((resolve) => {
    drained = () => running() || resolve();
    drained();
    if (timeout < 2 ** 31) setTimeout(resolve, timeout).unref();
  });
  return { still_running: running() };
}

const service = '/cpulb.executor.v1.Executor/';
const methods = {
  [service + 'Describe']: ['DescribeRequest', 'DescribeResponse', () => ({
    name: 'node', version: '1', runtime, capabilities: [CANCEL, EVENTS, OUTPUT], cpus_allowed: kernel('Cpus_allowed_list'), slot_protocol: 1,
    settings: Object.entries(settings).map(([name, setting]) => ({ name, ...setting })),
  })],
  [service + 'Configure']: ['ConfigureRequest', 'ConfigureResponse', configure],
  [service + 'Cancel']: ['CancelRequest', 'ClaimResponse', (r) => ({ claim: slotOf(r).cancel(r.seq, r.reason) })],
  [service + 'Recall']: ['RecallRequest', 'ClaimResponse', (r) => ({ claim: slotOf(r).recall(r.seq) })],
  [service + 'Drain']: ['DrainRequest', 'DrainResponse', (_, timeout) => drain(timeout)],
  [service + 'Stats']: ['StatsRequest', 'StatsResponse', () => ({
    slots_busy: slots?.filter((slot) => slot.running).length, tasks_done: stats.done, rss_bytes: Number(kernel('VmRSS')) * 1024,
    peak_rss_bytes: Number(kernel('VmHWM')) * 1024, cpus_allowed: kernel('Cpus_allowed_list'), threads: Number(kernel('Threads')),
  })],
  [service + 'Health']: ['Empty', 'Empty', () => ({})],
  '/plugin.GRPCController/Shutdown': ['Empty', 'Empty', (_r, _t, stream) => {
    stream.on('close', () => process.exit(0)); // once the answer has left
    return {};
  }],
};

const listen = (server, socket) => new Promise((resolve, reject) => server.on('error', reject).listen(socket, resolve));

async function main() {
  const env = process.env;
  if (env.CPULB_EXECUTOR !== 'b3c1c1a2-executor') throw new Error('this is an executor of cpulbd, which starts it');
  if (!(env.PLUGIN_PROTOCOL_VERSIONS ?? '1').split(',').includes('1')) {
    throw new Error(`this executor speaks version 1 of the protocol, but the daemon speaks ${env.PLUGIN_PROTOCOL_VERSIONS}`);
  }
  const lifeline = new net.Socket({ fd: Number(env.CPULB_LIFELINE_FD), readable: true, writable: false });
  lifeline.on('close', () => process.kill(0, 'SIGKILL')).on('error', () => {}).resume();
  fs.closeSync(Number(env.CPULB_PROGRAM_FD));
  fs.closeSync(Number(env.CPULB_OUTPUT_FD)); // 1 and 2 are copies
  const socket = path.join(fs.mkdtempSync(path.join(env.PLUGIN_UNIX_SOCKET_DIR ?? require('node:os').tmpdir(), 'n')), 's');
  await listen(serve(methods), socket);
  fs.writeSync(HANDSHAKE, `1|1|unix|${socket}|grpc\n`);
}

main().catch((error) => {
  fs.writeSync(LOG, `${error.message}\n`);
  process.exit(1);
});
