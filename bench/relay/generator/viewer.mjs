// Somebody who looks at a relay: the dashboard's feed and the metrics page. A child process, one JSON command per line.
//
//   {"live":"ws://…/v1/live"}               opens the feed as the page does; {"close":true} ends it and tells what came
//   {"metrics":"http://…","scrapes","everyMs"}  fetches the page so often

import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

let feed = null;

function open(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    feed = { socket, messages: 0, bytes: 0 };
    socket.on('message', (data) => {
      feed.messages++;
      feed.bytes += data.length;
      resolve({ open: true });
    });
    socket.on('error', reject);
  });
}

function close() {
  const { socket, messages, bytes } = feed;
  socket.terminate();
  feed = null;
  return { messages, bytes };
}

async function scrape({ metrics, scrapes, everyMs }) {
  const ms = [];
  let bytes = 0;
  for (let i = 0; i < scrapes; i++) {
    const began = performance.now();
    const answer = await fetch(metrics);
    bytes = (await answer.text()).length;
    if (!answer.ok) throw new Error(`${metrics} answered ${answer.status}`);
    ms.push(performance.now() - began);
    await new Promise((r) => setTimeout(r, everyMs));
  }
  return { ms, bytes };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    const answer =
      command.live !== undefined ? await open(command.live) : command.close ? close() : await scrape(command);
    console.log(JSON.stringify(answer));
  } catch (e) {
    console.log(JSON.stringify({ error: e.stack ?? String(e) }));
  }
}
process.exit(0);
