'use strict';
// The data plane: a slot is a connection and a thread. This side, on the main thread, claims tasks,
// measures their time and sends their events; worker.js runs them.

const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { frame, Frames } = require('./wire.js');

const CLAIMED = 1, RECALLED = 2; // Claim
const COMPLETED = 1, FAILED = 2, CANCELLED = 3, TIMED_OUT = 4; // Outcome
const STOP_TIMED_OUT = 2; // StopReason
const STREAMS = { stdout: 1, stderr: 2 }; // Stream
const longestTimer = 2 ** 31 - 1, mostOutput = 16 << 10;

// Shared words: why the task is to stop, and bytes of its events that have not left.
const STOP = 0, IN_FLIGHT = 1;

class Slot {
  constructor(worker, index) {
    Object.assign(this, { worker, index, connection: null, claimed: 0, recalled: new Set(), waiting: [], running: null });
    this.ready = this.startThread();
  }

  // accept serves a connection: its Hello says whose it is.
  static accept(slots, connection, log) {
    const frames = new Frames();
    let slot = null;
    const broken = (error) => { // a worker without one of its slots is of no use
      log('error', `a slot's connection is broken: ${error.message}`);
      process.exit(1);
    };
    connection.on('error', broken);
    connection.on('data', (chunk) => {
      try {
        frames.push(chunk);
        for (let got; (got = frames.next(slot ? 'Task' : 'Hello')); ) {
          if (slot) {
            slot.waiting.push(got);
            slot.next();
          } else {
            slot = slots[got[0].slot];
            if (!slot || slot.connection) throw new Error(`a Hello of slot ${got[0].slot}`);
            slot.connection = connection;
          }
        }
      } catch (error) {
        broken(error);
      }
    });
  }

  startThread() {
    this.shared = new Int32Array(new SharedArrayBuffer(8));
    const thread = new Worker(path.join(__dirname, 'worker.js'), {
      workerData: { shared: this.shared, outputBytes: this.worker.limits.output_bytes, resultBytes: this.worker.limits.result_bytes },
      stdout: true, stderr: true, // what belongs to no task goes to the worker's log
      resourceLimits: this.worker.heap ? { maxOldGenerationSizeMb: this.worker.heap } : {},
    });
    this.thread = thread;
    for (const stream of [thread.stdout, thread.stderr]) stream.on('data', (text) => fs.writeSync(1, text));
    let reason = null;
    thread.on('error', (error) => (reason = error));
    thread.on('message', (message) => this.thread === thread && this.heard(message));
    thread.on('exit', (code) => this.thread === thread && this.threadEnded(code, reason));
    return new Promise((resolve, reject) => thread.once('online', resolve).once('error', reject));
  }

  recall(seq) {
    if (seq <= this.claimed && !this.recalled.has(seq)) return CLAIMED;
    this.recalled.add(seq);
    return RECALLED;
  }

  cancel(seq, reason) {
    const claim = this.recall(seq);
    if (claim === CLAIMED && this.running?.seq === seq) this.stop(reason);
    return claim;
  }

  // next claims the next task, if the slot is idle.
  next() {
    const draining = this.worker.draining();
    while (this.waiting.length && (draining || !this.running)) {
      const [task, params] = this.waiting.shift();
      if (this.recalled.has(task.seq)) continue;
      if (draining) {
        this.recalled.add(task.seq);
        this.send({ seq: task.seq, skipped: {} });
        continue;
      }
      this.claimed = task.seq;
      this.begin(task, params);
    }
  }

  begin(task, params) {
    const running = (this.running = { seq: task.seq, stop: 0, output: { stdout: '', stderr: '' }, shown: { stdout: 0, stderr: 0 }, partials: 0, began: process.hrtime.bigint() });
    this.send({ seq: task.seq, started: {} });
    Atomics.store(this.shared, STOP, 0);
    if (this.worker.outputInterval) running.showing = setInterval(() => this.show(running), this.worker.outputInterval);
    if (task.timeout_ns) this.expireIn(running, task.timeout_ns / 1e6);
    const context = {
      task_id: task.task_id, script_path: task.script_path, task_type: task.task_type, attempt: task.attempt, labels: task.labels,
      traceparent: task.traceparent, worker: this.worker.id, core: this.worker.core, slot: this.index,
      deadline: task.timeout_ns ? Date.now() / 1e3 + task.timeout_ns / 1e9 : null,
    };
    this.thread.postMessage({ kind: 'run', seq: task.seq, context, function: task.function, source: task.source, probe: task.probe, params: params.toString() });
  }

  // expireIn stops the task when its time is up; a timer of node's holds 24 days at most.
  expireIn(running, left) {
    running.timer = setTimeout(() => (left > longestTimer ? this.expireIn(running, left - longestTimer) : this.cancel(running.seq, STOP_TIMED_OUT)),
      Math.min(left, longestTimer));
  }

  // stop asks the script, by its signal and by context.cancelled; then it ends the thread. The
  // Result waits for that: a thread may be in a call of the system that can't be ended.
  stop(reason) {
    const running = this.running, thread = this.thread;
    if (running.stop) return;
    running.stop = reason;
    Atomics.store(this.shared, STOP, reason);
    thread.postMessage({ kind: 'stop', seq: running.seq, reason });
    running.terminator = setTimeout(() => thread.terminate(), this.worker.terminateAfter);
  }

  // show sends what the task has printed since it was called last.
  show(running) {
    for (const [stream, number] of Object.entries(STREAMS)) {
      for (let text; (text = running.output[stream].slice(running.shown[stream], running.shown[stream] + mostOutput)); ) {
        if (text.length > 1 && /[\ud800-\udbff]$/.test(text)) text = text.slice(0, -1); // half a character
        running.shown[stream] += text.length;
        this.send({ seq: running.seq, output: { stream: number, text } });
      }
    }
  }

  stopped(message, traceback) {
    const timedOut = this.running.stop === STOP_TIMED_OUT;
    return {
      outcome: timedOut ? TIMED_OUT : CANCELLED,
      error: { type: timedOut ? 'TaskTimeout' : 'TaskCancelled', message, traceback, code: timedOut ? 'timed_out' : 'cancelled' },
    };
  }

  // threadEnded: the script has called process.exit, or the heap was too small.
  threadEnded(code, error) {
    this.startThread();
    if (!this.running) return;
    if (this.running.stop) this.end(this.stopped('the thread was ended'));
    else if (error) this.end(failure('exception', error.code ?? error.name, error.message));
    else this.end({ outcome: FAILED, error: { type: 'Exit', message: `process.exit(${code})`, code: 'exit', exit_code: code & 0xff } });
  }

  // heard is what the thread reports of its task. It waits while too much of that has not left.
  heard(message) {
    const running = this.running, shared = this.shared;
    const sent = () => {
      Atomics.sub(shared, IN_FLIGHT, message.bytes);
      Atomics.notify(shared, IN_FLIGHT);
    };
    if (!running || message.seq !== running.seq) return message.bytes && sent();
    switch (message.kind) {
      case 'output':
        running.output[message.stream] += message.text;
        running.truncated ||= message.cut;
        return sent();
      case 'partial':
        return this.send({ seq: running.seq, partial: { number: ++running.partials } }, Buffer.from(message.data), sent);
      case 'progress':
      case 'log':
        return this.send({ seq: running.seq, [message.kind]: message.event }, undefined, sent);
      case 'completed':
        if (message.stopped && running.stop) return this.end(this.stopped('the task has noticed that it is to stop'));
        return this.end({ outcome: COMPLETED, cpu_ns: message.cpu }, Buffer.from(message.data));
      case 'failed':
        if (message.stopped && running.stop) return this.end(this.stopped(message.error.message, message.error.traceback));
        return this.end({ outcome: FAILED, error: message.error, fault: message.fault, cpu_ns: message.cpu });
    }
  }

  end(result, data) {
    const running = this.running;
    clearTimeout(running.timer);
    clearTimeout(running.terminator);
    clearInterval(running.showing);
    this.worker.done();
    this.running = null;
    this.send({ seq: running.seq, result: { ...result, ...running.output, truncated: Number(running.truncated ?? 0),
      run_ns: Number(process.hrtime.bigint() - running.began) } }, data);
    this.worker.ended();
    this.next();
  }

  send(event, payload, sent) {
    this.connection.write(frame('Event', event, payload), sent);
  }
}

function failure(code, type, message) {
  return { outcome: FAILED, error: { type, message, code } };
}

module.exports = { Slot };
