import { createInterface } from 'node:readline';
import type { ClientEvents, StarlingClient } from '../client/index.js';
import { Exit } from './exit.js';
import { jsonLine, untilSignal } from './service.js';

/** Events that are passed on as they are. */
const passedOn: readonly (keyof ClientEvents)[] = [
  'message',
  'delivered',
  'read',
  'expired',
  'contactRequest',
  'contact',
  'presence',
  'dropped',
  'relay',
  'relayLost',
  'stage',
  'state',
];

/** A command as it was read; nothing in it is trusted. */
type Command = Readonly<Record<string, unknown>>;

class BadCommand extends Error {
  override readonly name = 'BadCommand';
}

function text(c: Command, name: string): string {
  const value = c[name];
  if (typeof value !== 'string') throw new BadCommand(`${String(c.cmd)} needs ${name}`);
  return value;
}

/** Carries out one command; true ends the program. */
async function carryOut(client: StarlingClient, c: Command): Promise<boolean> {
  const tell = (event: string, fields: Readonly<Record<string, unknown>> = {}): void =>
    jsonLine({ event, ...fields, ...(c.ref === undefined ? {} : { ref: c.ref }) });
  switch (c.cmd) {
    case 'find':
      tell('found', { ...(await client.find(text(c, 'address'))) });
      return false;
    case 'add':
      await client.addContact(text(c, 'address'));
      tell('added', { address: text(c, 'address') });
      return false;
    case 'accept':
      await client.accept(text(c, 'address'));
      tell('accepted', { address: text(c, 'address') });
      return false;
    case 'remove':
      await client.removeContact(text(c, 'address'));
      tell('removed', { address: text(c, 'address') });
      return false;
    case 'send': {
      const [address, words] = [text(c, 'address'), text(c, 'text')];
      const id = await client.send(address, words);
      tell('queued', { address, id, text: words });
      return false;
    }
    case 'read':
      await client.markRead(text(c, 'address'), text(c, 'id'));
      return false;
    case 'contacts':
      tell('contacts', { contacts: client.contacts() });
      return false;
    case 'history':
      tell('history', { address: text(c, 'address'), messages: client.history(text(c, 'address')) });
      return false;
    case 'status': {
      const { address, state, primaryRelay, relays } = client;
      tell('status', { address, state, primaryRelay, relays });
      return false;
    }
    case 'quit':
      return true;
    default:
      throw new BadCommand(`unknown cmd ${JSON.stringify(c.cmd)}`);
  }
}

/** Obeys one line; what goes wrong becomes an error event. */
async function obey(client: StarlingClient, line: string): Promise<boolean> {
  let command: Command = {};
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== 'object' || parsed === null) throw new BadCommand('a command is a JSON object');
    command = parsed as Command;
    return await carryOut(client, command);
  } catch (e) {
    const error = e as Error & { readonly code?: string };
    jsonLine({
      event: 'error',
      cmd: command.cmd ?? null,
      code: error.code ?? error.name,
      message: error.message,
      ...(command.ref === undefined ? {} : { ref: command.ref }),
    });
    return false;
  }
}

/** A client under the control of a script: JSON lines in, JSON lines out, until `quit`, end of input or a signal. */
export async function script(client: StarlingClient): Promise<number> {
  for (const name of passedOn) client.on(name, (e) => jsonLine({ event: name, ...e }));
  client.on('error', (e) => jsonLine({ event: 'error', during: e.during, message: String(e.error) }));
  jsonLine({ event: 'started', address: client.address, pid: process.pid });
  // A script that was restarted knows no more than its events: it begins with what is there.
  for (const c of client.contacts()) jsonLine({ event: 'contact', ...c });
  client.start().catch(() => undefined); // it ends when the program does
  const lines = createInterface({ input: process.stdin });
  const asked = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      // Not one after the other: a look-up must not hold up a message.
      if (line.trim() !== '')
        void obey(client, line).then((quit) => {
          if (quit) resolve();
        });
    });
    lines.on('close', resolve);
  });
  await Promise.race([asked, untilSignal()]);
  lines.close();
  return Exit.ok;
}
