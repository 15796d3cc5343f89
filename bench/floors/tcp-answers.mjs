// Floor: answers of a fixed size to requests of a fixed size over node:net, and nothing else.
//
//   node bench/floors/tcp-answers.mjs ANSWER_BYTES [REQUEST_BYTES] [--single]
//
// Every REQUEST_BYTES received (default 1) are one request. The answers to one chunk go out in one write; with --single
// in one write each. Ends when its standard input does.

import { createServer } from 'node:net';

const [answerBytes, requestBytes = 1] = process.argv
  .slice(2)
  .filter((a) => !a.startsWith('-'))
  .map(Number);
const single = process.argv.includes('--single');
const answer = Buffer.alloc(answerBytes, 0x61);

const server = createServer({ noDelay: true }, (socket) => {
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
    const requests = Math.floor(received / requestBytes);
    received -= requests * requestBytes;
    if (requests === 0) return;
    if (!single) socket.cork();
    for (let i = 0; i < requests; i++) socket.write(answer);
    if (!single) socket.uncork();
  });
  socket.on('error', () => socket.destroy());
});

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
  console.log(JSON.stringify({ port: server.address().port })),
);
process.stdin.on('end', () => process.exit(0)).resume();
