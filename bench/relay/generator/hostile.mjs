// Connections that mean no good, a thousand of one kind at a time. A child process, one JSON command per line.
//
//   {"kind":"silent"|"slow"|"huge"|"random","port","connections"}   begins; {"kind":"none"} ends them

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const sources = 16;
let open = [];
let timer = null;
/** Random bytes for all, so that making them is not what takes the time. */
const noise = Array.from({ length: 32 }, () => randomBytes(64 * 1024));
/** A valid header of a hello of 50 MB, and nothing behind it. */
const huge = Buffer.from('ea000080f0fa02000000006c', 'hex');
huge[11] = huge.subarray(0, 11).reduce((x, b) => x ^ b, 0x7f);

let active = null;
let attempts = 0;

function attack(port, i, kind) {
  if (active !== kind) return;
  attempts++;
  const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.1.${1 + (i % sources)}` });
  open[i] = socket;
  socket.on('error', () => undefined);
  socket.on('data', () => undefined);
  // Cut off: comes again, as one who floods would; a pause keeps this process from being the whole load.
  socket.on('close', () => setTimeout(() => attack(port, i, kind), 200));
  socket.on('connect', () => {
    if (kind === 'huge') socket.write(huge);
    if (kind === 'random') pour(socket, i);
  });
}

function pour(socket, i) {
  let n = i;
  const more = () => {
    while (!socket.destroyed && socket.write(noise[n++ % noise.length]));
  };
  socket.on('drain', more);
  more();
}

for await (const line of createInterface({ input: process.stdin })) {
  const { kind, port, connections } = JSON.parse(line);
  active = kind;
  clearInterval(timer);
  for (const s of open) s?.destroy();
  open = [];
  if (kind !== 'none') for (let i = 0; i < connections; i++) attack(port, i, kind);
  if (kind === 'slow')
    timer = setInterval(() => {
      for (const s of open) if (s?.readyState === 'open') s.write('x');
    }, 1_000);
  await new Promise((r) => setTimeout(r, 1_500));
  console.log(JSON.stringify({ kind, attempts }));
}
process.exit(0);
