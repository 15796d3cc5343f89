// Questions with a fixed number open: each answer sends the next question. A child process, one JSON command per line.
//
//   {"what":"presence"|"sectors"|"bytes","port","endpoint","connections","open","serverPid","warmSeconds","seconds"}
//
// `presence` and `sectors` first tell the relay the presences that are asked for. `bytes` is the floor: requests of
// `requestBytes`, answers of `answerBytes`.

import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuNanoseconds } from '../machine.mjs';
import { createCrowd } from './crowd.mjs';
import { Histogram } from './histogram.mjs';
import { openSocket } from './wire-socket.mjs';

const dist = (room) => join(dirname(fileURLToPath(import.meta.url)), '../../../dist', room, 'index.js');
const { Code, encodeFrame, encodeGetPresence2, encodeGetSectorNodes, FRAME_HEADER_BYTES, FRAME_START } =
  await import(dist('wire'));
const { sectorPrefix } = await import(dist('identity'));

/** Wallets that are asked for, in turn. */
const wallets = 1_000;
/** Relays that a sector answer names. */
const relays = 7;
/** Identities apart from those that other generators use, and the relays' apart from the clients'. */
const firstOf = { presence: 1_000_000, sectors: 2_000_000 };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function s2Socket(command, crowd, id) {
  const socket = await openSocket({ port: command.port });
  socket.write(crowd.hello(id));
  await socket.until((bytes) => crowd.greeted(bytes));
  return socket;
}

/** Tells the relay the presences, and waits until it knows the last one. */
async function tell(command, crowd) {
  const socket = await s2Socket(command, crowd, 999_999);
  const host = (i) => `127.0.0.1:${20_000 + i}`;
  const sectors = command.what === 'sectors';
  const n = sectors ? relays : wallets;
  for (let i = 0; i < n; i++) {
    socket.write(await crowd.presence(firstOf[command.what] + i, sectors ? 'R' : 'C', host(i)));
    // Within what a connection may have under way at once.
    if (i % 100 === 99) await sleep(150);
  }
  await sleep(500);
  const last = Buffer.from(
    encodeFrame(Code.getPresence2, encodeGetPresence2(crowd.identity(firstOf[command.what] + n - 1).address)),
  );
  socket.write(last);
  const known = socket.until((bytes) => {
    for (let at = 0; at < bytes.length; ) {
      const size = crowd.lengthAt(bytes, at);
      if (size === 0 || at + size > bytes.length) return false;
      if (bytes[at] === FRAME_START && bytes.readUInt16LE(at + 1) === Code.updatePresence) return true;
      at += size;
    }
    return false;
  });
  const timeout = sleep(3_000).then(() => {
    throw new Error('the relay did not take the presences');
  });
  await Promise.race([known, timeout]);
  socket.close();
}

/** The questions in turn, and the code of their answers. */
function questionsOf(command, crowd) {
  if (command.what === 'bytes') return { questions: [Buffer.alloc(command.requestBytes, 1)], code: null };
  const n = command.what === 'sectors' ? relays : wallets;
  const questions = Array.from({ length: n }, (_, i) => {
    const { address } = crowd.identity(firstOf[command.what] + i);
    return Buffer.from(
      command.what === 'sectors'
        ? encodeFrame(
            Code.getSectorNodes,
            encodeGetSectorNodes({ prefix: sectorPrefix(address), max: relays }),
          )
        : encodeFrame(Code.getPresence2, encodeGetPresence2(address)),
    );
  });
  return { questions, code: command.what === 'sectors' ? Code.sectorNodes : Code.updatePresence };
}

async function measure(command) {
  const floor = command.what === 'bytes';
  const crowd = floor ? null : createCrowd(command.endpoint);
  if (!floor) await tell(command, crowd);
  const { questions, code } = questionsOf(command, crowd);
  let next = 0;
  let answers = 0;
  let answerBytes = 0;
  let running = true;
  let latency = null;
  const sockets = [];
  for (let c = 0; c < command.connections; c++) {
    const socket = floor
      ? await openSocket({ port: command.port })
      : await s2Socket(command, crowd, 900_000 + c);
    const asked = [];
    let due = 0;
    let rest = Buffer.alloc(0);
    let floorBytes = 0;
    socket.ask = (n) => {
      const now = performance.now();
      const batch = [];
      for (let i = 0; i < n; i++) {
        batch.push(questions[next++ % questions.length]);
        asked.push(now);
      }
      socket.write(batch.length === 1 ? batch[0] : Buffer.concat(batch));
    };
    const answered = (bytes) => {
      answers++;
      answerBytes = bytes;
      latency?.add(performance.now() - asked[due]);
      if (++due === 4096) {
        asked.splice(0, due);
        due = 0;
      }
    };
    socket.onData = (chunk) => {
      let n = 0;
      if (floor) {
        floorBytes += chunk.length;
        for (; floorBytes >= command.answerBytes; floorBytes -= command.answerBytes, n++)
          answered(command.answerBytes);
      } else {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        let at = 0;
        while (at < bytes.length) {
          const size = crowd.lengthAt(bytes, at);
          if (size === 0 || at + size > bytes.length) break;
          if (size > FRAME_HEADER_BYTES && bytes.readUInt16LE(at + 1) === code) {
            answered(size);
            n++;
          }
          at += size;
        }
        rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
      }
      if (running && n > 0) socket.ask(n);
    };
    sockets.push(socket);
  }
  for (const s of sockets) s.ask(command.open);
  await sleep(1_000 * (command.warmSeconds ?? 1));
  latency = new Histogram();
  const at = performance.now();
  const before = { answers, server: cpuNanoseconds(command.serverPid), own: cpuNanoseconds(process.pid) };
  await sleep(1_000 * (command.seconds ?? 3));
  const seconds = (performance.now() - at) / 1_000;
  const result = {
    answersPerSecond: (answers - before.answers) / seconds,
    answerBytes,
    questionBytes: questions[0].length,
    latencyMs: latency.summary(),
    cpuMicrosecondsPerAnswer:
      (cpuNanoseconds(command.serverPid) - before.server) / 1e3 / (answers - before.answers),
    generatorLoad: (cpuNanoseconds(process.pid) - before.own) / 1e9 / seconds,
  };
  running = false;
  for (const s of sockets) s.close();
  return result;
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await measure(JSON.parse(line))));
  } catch (e) {
    console.log(JSON.stringify({ error: e.stack }));
  }
}
process.exit(0);
