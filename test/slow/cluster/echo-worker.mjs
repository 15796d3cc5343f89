// A worker that greets every connection with its own name and echoes what comes.
import { appendFileSync } from 'node:fs';
import { WorkerPort } from '../../../dist/cluster/index.js';

const port = await WorkerPort.open();
const { name, start } = port.start;
if (start.failWith !== undefined && name === start.failWith) {
  await port.failed(7, 'no luck');
  process.exit(7);
}
process.on('SIGTERM', () => undefined);
port.handle({
  socket: (gate, socket) => {
    socket.write(`${name} ${gate}\n`);
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  },
  leader: (leader) => {
    if (start.journal !== undefined) appendFileSync(start.journal, `${name} sees ${leader}\n`);
  },
  yieldLead: () => Promise.resolve(),
  retire: () => process.exit(0),
  stop: () => process.exit(0),
  reload: () => undefined,
  drain: () => port.drained(),
});
port.ready(start.capacity ?? 100_000, port.start.members);
