// Sender and receiver pairs at a given rate: the generator behind the forwarding measures. A child process that takes one
// JSON command per line on standard input and answers each with one JSON line.
//
//   {"dialect","port","pairs","serverPid","endpoint"}   once: connects everybody
//   {"rate","warmSeconds","seconds","punctual"}         one run; rate 0: every sender always has a message ready
//
// Open loop: message k is meant to leave at start + k / rate, and its latency counts from there, whether or not it left in
// time. With `punctual` the generator never sleeps: a timer's millisecond would be most of a short latency, and what became
// due meanwhile would leave in bunches, which servers take differently; its own load is then always 1. A connection keeps
// order, so the k-th message that arrives at a receiver is the k-th that was meant for it.

import { createInterface } from 'node:readline';
import { busyNanoseconds, cpuNanoseconds, residentBytes, tcpSegments } from '../machine.mjs';
import { createCrowd } from './crowd.mjs';
import { dialectOf } from './dialects.mjs';
import { Histogram } from './histogram.mjs';
import { openSocket } from './wire-socket.mjs';

/** Handshakes in progress at once: a relay signs each. */
const opensAtOnce = 32;
/**
 * Everybody pings whatever it talks to. Of a socket that answers now and then Linux acknowledges every other message,
 * of one that only ever reads each of them at once: a segment, and some 2 µs, that a floor without pings would have
 * beyond what is measured by it.
 */
const pingEveryMs = 3_000;
/**
 * How long a run waits for what is still under way: as long as something arrives, and no longer than that in all. What
 * senders that never stop have left in the kernel's windows is megabytes each.
 */
const settleMs = 3_000;
const settleMsMax = 60_000;

/** Messages of one connection that leave in one write: those due in the same millisecond, or all when one is always ready. */
const framesPerWriteMax = 16;

const pairs = [];
let setup = null;
let dialect = null;
/** Messages of the current run, all pairs together. */
let run = null;

class Pair {
  constructor(index, sender, receiver) {
    this.index = index;
    this.sender = sender;
    this.receiver = receiver;
    const frame = dialect.frame(index);
    /** One message, two in a row, … */
    this.frames = Array.from({ length: framesPerWriteMax }, (_, n) =>
      Buffer.concat(new Array(n + 1).fill(frame)),
    );
    this.expected = dialect.received(index);
    /** Intended times of messages that have not arrived, oldest first. */
    this.due = [];
    this.head = 0;
    this.blocked = false;
    /** Whether its next turn is due: a drain after a ping must not begin a second row of turns. */
    this.pouring = false;
    this.again = () => {
      this.pouring = false;
      this.pour();
    };
    /** Position inside the message that is arriving. */
    this.at = 0;
    this.rest = null;
    receiver.onData = (bytes) => this.arrive(bytes);
    sender.onData = (bytes) => this.answer(bytes);
    sender.raw.on('drain', () => {
      this.blocked = false;
      if (run?.rate === 0) this.pour();
    });
  }

  /** Every message of this pair that became due before number `end` of all, in one write. */
  send(first, end, start, msEach) {
    let n = 0;
    const now = run.measuring ? performance.now() : 0;
    for (let k = first; k < end; k += pairs.length) {
      const due = start + k * msEach;
      this.due.push(due);
      if (now > 0) run.late.add(Math.max(0, now - due));
      n++;
    }
    run.sent += n;
    for (; n > this.frames.length; n -= this.frames.length) this.write(this.frames.length);
    this.write(n);
  }

  write(n) {
    if (!this.sender.write(this.frames[n - 1])) this.blocked = true;
  }

  /**
   * As many as the connection takes, a write's worth before the next pair has its turn: a server that keeps up would
   * never let one stop. One write per message would make the generator the limit.
   */
  pour() {
    if (this.blocked || this.pouring || !run.open) return;
    const now = performance.now();
    for (let n = 0; n < framesPerWriteMax; n++) this.due.push(now);
    run.sent += framesPerWriteMax;
    this.write(framesPerWriteMax);
    if (this.blocked) return;
    this.pouring = true;
    setImmediate(this.again);
  }

  arrive(chunk) {
    const bytes = this.rest === null ? chunk : Buffer.concat([this.rest, chunk]);
    this.rest = null;
    const size = this.expected.length;
    let at = 0;
    if (this.at > 0) {
      const n = Math.min(size - this.at, bytes.length);
      this.at += n;
      at = n;
      if (this.at < size) return;
      this.at = 0;
      this.arrived();
    }
    while (at < bytes.length) {
      const left = bytes.length - at;
      if (left < 8 && bytes[at] === this.expected[0]) {
        this.rest = Buffer.from(bytes.subarray(at));
        return;
      }
      if (bytes[at] === this.expected[0] && bytes.readUInt32LE(at + 4) === this.expected.readUInt32LE(4)) {
        if (left < size) {
          this.at = left;
          return;
        }
        // Every byte of every message would be the generator's work; where it begins and ends is what can go wrong.
        if (bytes[at + size - 3] !== this.expected[size - 3]) run.wrong++;
        this.arrived();
        at += size;
        continue;
      }
      const n = dialect.foreign(bytes, at, this.receiver);
      if (n === 0 || n > left) {
        this.rest = Buffer.from(bytes.subarray(at));
        return;
      }
      at += n;
    }
  }

  arrived() {
    const due = this.due[this.head++];
    if (due === undefined) {
      if (run !== null) run.wrong++;
      return;
    }
    if (this.head > 1024) {
      this.due = this.due.slice(this.head);
      this.head = 0;
    }
    run.received++;
    if (run.measuring) run.latency.add(performance.now() - due);
  }

  /** What comes back to a sender: pings, and messages that say what was not delivered. */
  answer(bytes) {
    if (run !== null) run.answerBytes += bytes.length;
    dialect.foreign(bytes, 0, this.sender);
  }
}

async function connectAll(command) {
  setup = command;
  const people = 2 * command.pairs;
  const s2 = command.dialect === 'tcp' || command.dialect === 'ws';
  dialect = dialectOf(command.dialect, s2 ? createCrowd(command.endpoint) : null);
  const sockets = new Array(people);
  let next = 0;
  const worker = async () => {
    while (next < people) {
      const id = next++;
      const socket = await openSocket({ port: command.port });
      await dialect.open(socket, id, { receives: id < command.pairs });
      socket.write(dialect.ping);
      sockets[id] = socket;
    }
  };
  await Promise.all(Array.from({ length: opensAtOnce }, worker));
  for (let i = 0; i < command.pairs; i++) pairs.push(new Pair(i, sockets[command.pairs + i], sockets[i]));
  let turn = 0;
  setInterval(() => {
    turn++;
    for (let i = turn % 6; i < sockets.length; i += 6) sockets[i].write(dialect.ping);
  }, pingEveryMs / 6);
  return { connected: people };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The next turn of the event loop, as soon as what is there to read has been read. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function measure({ rate, warmSeconds = 0.5, seconds = 3, punctual = false }) {
  for (const p of pairs) {
    p.due = [];
    p.head = 0;
  }
  run = {
    rate,
    open: true,
    measuring: false,
    sent: 0,
    received: 0,
    wrong: 0,
    answerBytes: 0,
    latency: new Histogram(),
    late: new Histogram(),
  };
  const start = performance.now();
  const measureAt = start + 1000 * warmSeconds;
  const endAt = measureAt + 1000 * seconds;
  let before = null;
  let planned = 0;
  let residentMost = 0;
  let lookAt = 0;
  if (rate === 0) for (const p of pairs) p.pour();
  for (;;) {
    const now = performance.now();
    if (before === null && now >= measureAt) {
      before = snapshot();
      run.measuring = true;
    }
    if (now >= endAt) break;
    if (rate > 0) {
      const due = Math.floor(((now - start) * rate) / 1000);
      const visits = Math.min(pairs.length, due - planned);
      for (let i = 0; i < visits; i++)
        pairs[(planned + i) % pairs.length].send(planned + i, due, start, 1000 / rate);
      planned = due;
    }
    if (now >= lookAt) {
      lookAt = now + 100;
      residentMost = Math.max(residentMost, residentBytes(setup.serverPid));
    }
    await (punctual ? nextTurn() : sleep(1));
  }
  const after = snapshot();
  run.measuring = false;
  run.open = false;
  const settledBy = performance.now() + settleMsMax;
  let arrived = run.received;
  let giveUpAt = performance.now() + settleMs;
  while (run.received < run.sent && performance.now() < Math.min(giveUpAt, settledBy)) {
    await sleep(20);
    if (run.received > arrived) giveUpAt = performance.now() + settleMs;
    arrived = run.received;
  }
  const windowSeconds = (after.atMs - before.atMs) / 1000;
  const busy = after.busyNs - before.busyNs;
  const delivered = after.received - before.received;
  return {
    rate,
    windowSeconds,
    intended: rate * windowSeconds,
    sent: after.sent - before.sent,
    delivered,
    deliveredPerSecond: delivered / windowSeconds,
    lost: run.sent - run.received,
    wrong: run.wrong,
    answerBytes: run.answerBytes,
    cpuSeconds: (after.serverNs - before.serverNs) / 1e9,
    cpuMicrosecondsPerMessage: (after.serverNs - before.serverNs) / 1e3 / delivered,
    segmentsPerMessage: (after.segments - before.segments) / delivered,
    residentMost,
    residentAfter: residentBytes(setup.serverPid),
    generatorLoad: (after.ownNs - before.ownNs) / 1e9 / windowSeconds,
    /** Cores that other programs took meanwhile. */
    othersLoad:
      Math.max(0, busy - (after.serverNs - before.serverNs) - (after.ownNs - before.ownNs)) /
      1e9 /
      windowSeconds,
    latencyMs: run.latency.summary(),
    /** How long after their time messages left the generator: part of their latency. */
    lateMs: run.late.summary(),
  };
}

function snapshot() {
  return {
    atMs: performance.now(),
    serverNs: cpuNanoseconds(setup.serverPid),
    ownNs: cpuNanoseconds(process.pid),
    busyNs: busyNanoseconds(),
    segments: tcpSegments(),
    sent: run.sent,
    received: run.received,
  };
}

const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  const command = JSON.parse(line);
  try {
    const answer = command.rate === undefined ? await connectAll(command) : await measure(command);
    console.log(JSON.stringify(answer));
  } catch (e) {
    console.log(JSON.stringify({ error: e.stack }));
  }
}
process.exit(0);
