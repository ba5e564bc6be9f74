'use strict';
// A slot's thread: it runs one task at a time, main(params, context) of a script.

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { format } = require('node:util');
const { parentPort, workerData } = require('node:worker_threads');

const { parse, stringify } = JSON; // before a script can replace them
const { shared, outputBytes, resultBytes } = workerData;
const STOP = 0, IN_FLIGHT = 1, mostInFlight = 1 << 20, mostText = 64 << 10, FAULT_UNRUN = 1;

const runs = new AsyncLocalStorage(); // which run it is that prints or reports
let current = null;

class Failure extends Error {
  constructor(code, message, fault = 0) {
    super(message);
    Object.assign(this, { code, fault });
  }
}

// post reports something of a run, unless it has ended. A thread that reports faster than the
// daemon reads waits here.
function post(run, message, size = 0) {
  if (run !== current) return;
  if (size) {
    message.bytes = size + 100;
    for (let n; (n = Atomics.load(shared, IN_FLIGHT)) > mostInFlight; ) Atomics.wait(shared, IN_FLIGHT, n, 1000);
    Atomics.add(shared, IN_FLIGHT, message.bytes);
  }
  parentPort.postMessage({ seq: run.seq, ...message });
}

// What JSON would drop or change silently is an error.
function toJSON(value) {
  try {
    const text = stringify(value, (key, v) => {
      if (typeof v === 'number' && !Number.isFinite(v)) throw new Failure('bad_return_value', `${key || 'the value'} is ${v}, which JSON can't hold`);
      if (typeof v === 'function' || typeof v === 'symbol') throw new Failure('bad_return_value', `${key || 'the value'} is a ${typeof v}, which JSON can't hold`);
      return v;
    }) ?? 'null';
    const size = Buffer.byteLength(text);
    if (size > resultBytes) throw new Failure('result_too_large', `the result has ${size} bytes, limits.result_size is ${resultBytes}`);
    return text;
  } catch (error) {
    throw error instanceof Failure ? error : new Failure('bad_return_value', `JSON can't hold the value: ${error.message}`);
  }
}

for (const stream of ['stdout', 'stderr']) {
  const log = process[stream].write.bind(process[stream]);
  process[stream].write = (chunk, encoding, callback) => {
    const run = runs.getStore();
    if (!run || run !== current) return log(chunk, encoding, callback); // of no task: the worker's log
    const bytes = Buffer.from(chunk, typeof encoding === 'string' ? encoding : undefined);
    const kept = bytes.subarray(0, outputBytes - run.printed[stream]);
    run.printed[stream] += kept.length;
    if (kept.length || !run.cut) post(run, { kind: 'output', stream, text: kept.toString(), cut: kept.length < bytes.length }, kept.length);
    run.cut ||= kept.length < bytes.length;
    for (const done of [encoding, callback]) if (typeof done === 'function') process.nextTick(done);
    return true;
  };
}

function contextOf(run, fields) {
  const log = (level) => (...args) => post(run, { kind: 'log', event: { level, message: format(...args).slice(0, mostText) } }, 200);
  const stop = new AbortController();
  run.abort = (reason) => {
    run.reason = Object.assign(new Error(reason === 2 ? 'the task has run for too long' : 'the task was cancelled'), { name: reason === 2 ? 'TaskTimeout' : 'TaskCancelled' });
    stop.abort(run.reason);
  };
  return {
    ...fields,
    signal: stop.signal,
    get cancelled() {
      run.noticed ||= run === current && Atomics.load(shared, STOP) !== 0;
      return run !== current || run.noticed;
    },
    remaining: () => (fields.deadline === null ? null : fields.deadline - Date.now() / 1e3),
    progress(fraction, message = '') {
      if (Number.isFinite(fraction)) post(run, { kind: 'progress', event: { fraction: Math.min(1, Math.max(0, fraction)), message: String(message).slice(0, mostText) } }, 200);
    },
    emit(value) {
      const data = toJSON(value);
      post(run, { kind: 'partial', data }, data.length);
    },
    log: { debug: log('debug'), info: log('info'), warning: log('warning'), error: log('error') },
  };
}

const scripts = new Map(); // by path: its exports, and the state of each file behind them
let versions = 0;

const stateOf = (file) => {
  const s = fs.statSync(file, { bigint: true });
  return `${s.dev} ${s.ino} ${s.size} ${s.mtimeNs}`;
};

function unchanged([file, state]) {
  try {
    return stateOf(file) === state;
  } catch {
    return false;
  }
}

const ofPackage = (file) => file.includes(`${path.sep}node_modules${path.sep}`);

// filesOf are a module's files, without those of packages: these are loaded once.
function filesOf(module, found = new Set()) {
  if (module && !found.has(module.filename) && !ofPackage(module.filename)) {
    found.add(module.filename);
    module.children.forEach((child) => filesOf(child, found));
  }
  return found;
}

// load returns a script's exports. It is loaded again when it, or a file that it has required
// from outside of node_modules, has changed.
async function load(given, source) {
  if (source) {
    const module = new Module('source');
    module._compile(source, 'source');
    return module.exports;
  }
  let file;
  try {
    file = fs.realpathSync(given);
    fs.closeSync(fs.openSync(file));
  } catch (error) {
    if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code)) throw new Failure('executor', error.message, FAULT_UNRUN); // elsewhere it may run
    throw new Failure(error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 'script_not_found' : 'script_unreadable', error.message);
  }
  const known = scripts.get(file);
  if (known?.files.every(unchanged)) return known.exports;
  known?.files.forEach(([name]) => delete require.cache[name]);
  scripts.delete(file);
  const before = new Set(Object.keys(require.cache));
  let exports, files = [file];
  try {
    if (file.endsWith('.mjs')) {
      exports = await import(`${pathToFileURL(file)}?${++versions}`);
    } else {
      exports = require(file);
      files = [...filesOf(require.cache[file])];
    }
  } catch (error) {
    Object.keys(require.cache).filter((name) => !before.has(name) && !ofPackage(name)).forEach((name) => delete require.cache[name]);
    if (!(error instanceof SyntaxError)) throw error;
    if (file.endsWith('.mjs')) throw new Failure('script_syntax', `${file}: ${error.message}`);
    throw error.stack.startsWith('SyntaxError') ? error : new Failure('script_syntax', error.stack.split('\n\n    at')[0]); // the script's own JSON.parse
  }
  scripts.set(file, { exports, files: files.map((name) => [name, stateOf(name)]) });
  return exports;
}

function entryOf(exports, name) {
  if (typeof exports === 'function' && name === 'main') return exports;
  for (const from of [exports, exports?.default]) {
    if (from && Object.hasOwn(from, name) && typeof from[name] === 'function') return from[name];
  }
  throw new Failure('no_entry_point', `the script exports no function ${name}`);
}

async function call(run, task) {
  if (task.probe) {
    fs.closeSync(fs.openSync(__filename)); // as a script's file would be
    return (await load('', 'exports.main = () => 42')).main();
  }
  const context = contextOf(run, task.context);
  const main = entryOf(await load(task.context.script_path, task.source), task.function);
  const value = await main(parse(task.params), context);
  if (typeof value?.next !== 'function' || !(value[Symbol.iterator] || value[Symbol.asyncIterator])) return value;
  const values = []; // of a generator
  for (;;) {
    const step = await value.next();
    if (step.done) return step.value === undefined ? values : step.value;
    context.emit(step.value);
    values.push(step.value);
  }
}

function failed(run, error, cpu) {
  const stopped = run.noticed || run.reason !== undefined && (error === run.reason || error?.cause === run.reason || error?.name === 'AbortError');
  const told = error instanceof Error ? error : { name: typeof error, message: format(error) };
  const clip = (text) => String(text ?? '').slice(0, mostText);
  const stack = clip(told.stack).split('\n').filter((line) => !line.includes('node:internal') && !line.includes(__filename));
  const ours = error instanceof Failure;
  post(run, { kind: 'failed', stopped, cpu, fault: ours ? error.fault : 0, error: {
    type: clip(told.name), message: clip(told.message), code: ours ? error.code : 'exception', traceback: ours ? '' : stack.join('\n'),
  } });
}

// cpuTime is that of this thread in nanoseconds; before node 23 it is unknown.
function cpuTime() {
  const used = process.threadCpuUsage?.();
  return used ? (used.user + used.system) * 1e3 : 0;
}

async function execute(task) {
  const run = (current = { seq: task.seq, printed: { stdout: 0, stderr: 0 }, cut: false, noticed: false });
  const before = cpuTime();
  // What is thrown where nobody waits for it belongs to the task that runs.
  const lost = new Promise((_, reject) => (run.reject = reject));
  try {
    const data = toJSON(await Promise.race([runs.run(run, call, run, task), lost]));
    post(run, { kind: 'completed', data, stopped: run.noticed, cpu: cpuTime() - before });
  } catch (error) {
    const cpu = cpuTime() - before;
    try {
      failed(run, error, cpu);
    } catch { // reading it runs the script's code: a getter, a proxy
      failed(run, new Failure('exception', 'what was thrown can\'t be read: that throws, too'), cpu);
    }
  }
  if (current === run) current = null;
}

for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error) => {
    if (current) current.reject(error);
    else console.error('after its task:', error);
  });
}

parentPort.on('message', (message) => {
  if (message.kind === 'run') execute(message);
  else if (message.seq === current?.seq) current.abort?.(message.reason);
});
