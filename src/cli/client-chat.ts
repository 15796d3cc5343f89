import { createInterface, type Interface } from 'node:readline';
import type { ChatMessage, ContactView, FindResult, StarlingClient } from '../client/index.js';
import { AddressTextError } from '../identity/index.js';
import { Exit } from './exit.js';
import { type Output, paint, processOutput } from './terminal.js';

/** Characters of an address that are shown where the nick is missing. */
const shownChars = 12;
/** Texts of the history that /history shows. */
const historyShown = 20;

const HELP = [
  '/find ADDRESS       where is it, who vouches for it',
  '/add ADDRESS        ask it to become a contact',
  '/accept WHO         agree to a request',
  '/contacts           contacts and who is online',
  '/to WHO             lines without / go to this contact',
  '/msg WHO TEXT       one message to a contact',
  '/history [WHO]      the last texts',
  '/remove WHO         forget a contact, its keys and its history',
  '/relays             relays we are connected to, the announced one first',
  '/address            the own address',
  '/quit               leave',
].join('\n');

/** What another person wrote, without anything a terminal would obey; the joiner of emoji may stay. */
export function printable(text: string): string {
  return text.replace(/(?!\u200d)[\p{Cc}\p{Cf}]/gu, (c) => (c === '\n' ? '\n    ' : c === '\t' ? '  ' : '·'));
}

/** The contact that a nick or the beginning of an address means; a message for the user when it is not one. */
export function contactOf(contacts: readonly ContactView[], who: string): ContactView | string {
  const exact = contacts.filter((c) => c.address === who || c.nick === who);
  const found =
    exact.length > 0
      ? exact
      : contacts.filter(
          (c) =>
            c.address.startsWith(who) || (c.nick ?? '').toLowerCase().startsWith(who.toLowerCase() || '\n'),
        );
  if (found.length === 1) return found[0]!;
  return found.length === 0 ? `nobody here is called ${who}` : `${who} may be ${found.length} contacts`;
}

/** A conversation with a person at the terminal. */
class Chat {
  readonly #o: Output = processOutput();
  readonly #client: StarlingClient;
  readonly #lines: Interface;
  #to: string | null = null;
  #quit: () => void = () => undefined;

  constructor(client: StarlingClient, lines: Interface) {
    this.#client = client;
    this.#lines = lines;
  }

  #name(address: string): string {
    const nick = this.#client.contacts().find((c) => c.address === address)?.nick ?? null;
    return nick === null ? `${address.slice(0, shownChars)}…` : printable(nick);
  }

  /** Prints above the line that is being typed. */
  #say(text: string): void {
    if (this.#o.colour) this.#o.out(`\r\u001b[K${text}\n`);
    else this.#o.out(`${text}\n`);
    if (process.stdin.isTTY === true) this.#lines.prompt(true);
  }

  #dim(text: string): void {
    this.#say(paint(this.#o, 'dim', text));
  }

  #prompt(): void {
    const to = this.#to === null ? '' : this.#name(this.#to);
    this.#lines.setPrompt(paint(this.#o, 'cyan', `${to}> `));
    if (process.stdin.isTTY !== true) return;
    if (this.#o.colour) this.#o.out('\r\u001b[K'); // there may be a prompt already
    this.#lines.prompt(true);
  }

  #incoming(m: ChatMessage): void {
    this.#say(`${paint(this.#o, 'bold', this.#name(m.address))}: ${printable(m.text)}`);
    this.#client.markRead(m.address, m.id).catch((e: unknown) => this.#trouble(e));
  }

  #trouble(e: unknown): void {
    const words = e instanceof Error ? e.message : String(e);
    // Of a mistyped address a person wants the reason alone, not field and offset.
    const fault = e instanceof AddressTextError ? /\((.*)\)$/.exec(words)?.[1] : undefined;
    this.#say(paint(this.#o, 'red', fault === undefined ? words : `not an address: ${fault}`));
  }

  #watch(): void {
    const c = this.#client;
    c.on('message', (m) => this.#incoming(m));
    c.on('delivered', (d) => this.#dim(`  ✓ ${this.#name(d.address)} has it (${d.ms} ms)`));
    c.on('read', (r) => this.#dim(`  ✓✓ ${this.#name(r.address)} has read it`));
    c.on('expired', (x) => this.#say(`A message to ${this.#name(x.address)} was given up after five days.`));
    c.on('contactRequest', (r) =>
      this.#say(`${r.address} wants to talk to you: /accept ${r.address.slice(0, shownChars)}`),
    );
    c.on('presence', (p) => this.#dim(`  ${this.#name(p.address)} is ${p.online ? 'online' : 'offline'}`));
    c.on('relay', (r) =>
      this.#dim(r.endpoint === null ? '  no relay: looking for another' : `  reached through ${r.endpoint}`),
    );
    c.on('stage', (s) => {
      if (s.stage !== 5) return;
      const address = String(s.facts.address);
      this.#say(`${this.#name(address)}: keys agreed, you can talk.`);
      this.#to ??= address;
      this.#prompt();
    });
    c.on('error', (e) => this.#trouble(`${e.during}: ${String(e.error)}`));
  }

  async run(): Promise<void> {
    const finished = new Promise<void>((resolve) => {
      this.#quit = resolve;
    });
    this.#watch();
    this.#say(`You are ${paint(this.#o, 'green', this.#client.address)}`);
    this.#dim('Give this address to others. /help shows the commands.');
    const contacts = this.#client.contacts().filter((c) => c.approved);
    if (contacts.length === 1) this.#to = contacts[0]!.address;
    this.#prompt();
    this.#client.start().catch(() => undefined); // it ends when the program does
    // Line after line, so that pasted texts keep their order.
    let turn: Promise<void> = Promise.resolve();
    this.#lines.on('line', (line) => {
      turn = turn.then(() => this.#obey(line.trim())).catch((e: unknown) => this.#trouble(e));
      turn = turn.then(() => this.#prompt());
    });
    this.#lines.on('SIGINT', () => this.#quit());
    this.#lines.on('close', () => void turn.then(() => this.#quit()));
    process.once('SIGTERM', () => this.#quit());
    await finished;
    this.#lines.close();
  }

  async #obey(line: string): Promise<void> {
    if (line === '') return;
    if (!line.startsWith('/')) {
      if (this.#to === null) this.#say('To whom? Choose with /to WHO, or use /msg WHO TEXT.');
      else await this.#client.send(this.#to, line);
      return;
    }
    const [command = '', first = ''] = line.split(/\s+/);
    const rest = line.slice(command.length).trim();
    const c = this.#client;
    switch (command) {
      case '/help':
        this.#say(HELP);
        return;
      case '/address':
        this.#say(c.address);
        return;
      case '/find':
        this.#found(await c.find(rest));
        return;
      case '/add':
        await c.addContact(rest);
        this.#dim('  asked; it becomes a contact when its user agrees');
        return;
      case '/accept':
        await this.#with(rest, (x) => c.accept(x.address));
        return;
      case '/remove':
        await this.#with(rest, async (x) => {
          await c.removeContact(x.address);
          if (this.#to === x.address) this.#to = null;
        });
        return;
      case '/to':
        await this.#with(rest, async (x) => {
          this.#to = x.address;
        });
        return;
      case '/msg':
        await this.#with(first, async (x) => {
          await c.send(x.address, rest.slice(first.length).trim());
        });
        return;
      case '/history':
        await this.#with(rest === '' ? (this.#to ?? '') : rest, async (x) => this.#history(x));
        return;
      case '/contacts':
        this.#contacts();
        return;
      case '/relays':
        this.#say(c.relays.length === 0 ? 'no relay is connected' : c.relays.join('\n'));
        return;
      case '/quit':
        this.#quit();
        return;
      default:
        this.#say(`${command}? /help shows the commands.`);
    }
  }

  async #with(who: string, work: (c: ContactView) => Promise<void>): Promise<void> {
    const found =
      who === ''
        ? 'whom? give a nick or the beginning of an address'
        : contactOf(this.#client.contacts(), who);
    if (typeof found === 'string') this.#say(found);
    else await work(found);
  }

  #found(f: FindResult): void {
    const { timings } = f;
    if (f.endpoints.length === 0) this.#say(`offline: none of ${f.relaysAsked.length} relays knows it`);
    for (const e of f.endpoints)
      this.#say(`${paint(this.#o, 'green', '✓')} reached through ${e.hostname}, signature verified`);
    for (const d of f.dropped)
      this.#say(
        `${paint(this.#o, 'red', '✗')} ${printable(d.endpoint ?? 'unreadable endpoint')}: ${d.reason}`,
      );
    this.#dim(
      `  ${f.relaysAsked.length} relays asked, ${timings.roundTrips} round trips, ${timings.totalMs} ms`,
    );
  }

  #contacts(): void {
    const all = this.#client.contacts();
    if (all.length === 0) this.#say('no contacts yet: /add ADDRESS');
    for (const c of all) {
      const dot = c.online ? paint(this.#o, 'green', '●') : paint(this.#o, 'dim', '○');
      const state = c.established ? '' : c.requested ? '  asks to talk: /accept' : '  waiting for an answer';
      const waiting = c.unconfirmed === 0 ? '' : `  ${c.unconfirmed} unconfirmed`;
      const nick = c.nick === null || c.nick === '' ? '' : `${printable(c.nick)}  `;
      this.#say(`${dot} ${nick}${c.address}${state}${waiting}`);
    }
  }

  #history(c: ContactView): void {
    const marks: Readonly<Record<string, string>> = { queued: '…', delivered: '✓', read: '✓✓', expired: '✗' };
    for (const m of this.#client.history(c.address).slice(-historyShown)) {
      const when = new Date(m.timestamp * 1000).toISOString().slice(0, 16).replace('T', ' ');
      const who = m.direction === 'in' ? this.#name(c.address) : 'you';
      const mark = m.direction === 'out' ? ` ${marks[m.state] ?? ''}` : '';
      this.#say(`${paint(this.#o, 'dim', when)} ${who}: ${printable(m.text)}${mark}`);
    }
  }
}

/** Talks with the person at the terminal until /quit, end of input or Ctrl-C. */
export async function chat(client: StarlingClient): Promise<number> {
  const lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: process.stdin.isTTY === true,
  });
  await new Chat(client, lines).run();
  return Exit.ok;
}
