import { type Output, paint } from '../terminal.js';
import type { Child, ChildEvent } from './child.js';
import { CLIENT_NAMES, type LocalNetwork } from './network.js';

/** Steps of the discovery lifecycle as a person reads them (docs/protocol/08 §4). */
const STAGES: Readonly<Record<number, string>> = {
  1: 'connect: hello with a relay, both sides prove their key',
  2: 'announce: the signed presence is at the relays of the own sector',
  3: 'sector: which relays are responsible for an address',
  4: 'presence: where that address is, every endpoint’s signature checked',
  5: 'keys: contact set-up, session keys agreed end to end',
  6: 'message: encrypted, delivered, confirmed',
};

/** How long one stage may take on a busy machine before it counts as failed. */
const stageMs = 45_000;

/** One checked statement of the story. */
export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

const show = (value: unknown): string => (Array.isArray(value) ? value.map(show).join(', ') : String(value));

/** Tells what happens on a local network, with the real values, and remembers whether all of it came true. */
export class Story {
  readonly checks: Check[] = [];
  readonly #started = Date.now();

  constructor(
    private readonly o: Output,
    /** False: only checks are kept, nothing is printed (`--json`). */
    private readonly aloud: boolean,
  ) {}

  #clock(): string {
    return `${((Date.now() - this.#started) / 1000).toFixed(1).padStart(6)} s`;
  }

  say(text: string): void {
    if (this.aloud) this.o.out(`${paint(this.o, 'dim', this.#clock())}  ${text}\n`);
  }

  check(what: string, ok: boolean, detail = ''): void {
    this.checks.push({ what, ok, detail });
    const mark = ok ? paint(this.o, 'green', '✓') : paint(this.o, 'red', '✗');
    this.say(`${mark} ${what}${detail === '' ? '' : paint(this.o, 'dim', `  ${detail}`)}`);
  }

  get verified(): boolean {
    return this.checks.length > 0 && this.checks.every((c) => c.ok);
  }

  /** One stage as a client reports it. */
  stage(who: string, e: ChildEvent): void {
    const n = Number(e.stage);
    this.say(
      `${paint(this.o, 'bold', `${who} stage ${n}`)}  ${STAGES[n] ?? show(e.name)}  ${paint(this.o, 'cyan', `${show(e.ms)} ms`)}`,
    );
    const facts = (e.facts ?? {}) as Record<string, unknown>;
    for (const [name, value] of Object.entries(facts))
      this.say(`    ${paint(this.o, 'dim', name.padEnd(18))} ${show(value)}`);
  }
}

async function stageOf(story: Story, who: string, child: Child, n: number, about = ''): Promise<void> {
  // A client also looks up its own sector; the check is about the other address.
  const isAbout = (e: ChildEvent): boolean =>
    about === '' || (e.facts as Record<string, unknown> | undefined)?.address === about;
  try {
    const e = await child.waitFor(
      `stage ${n}`,
      stageMs,
      (x) => x.event === 'stage' && x.stage === n && isAbout(x),
    );
    story.check(`${who} reached stage ${n}`, true, `${show(e.ms)} ms`);
  } catch (e) {
    story.check(`${who} reached stage ${n}`, false, (e as Error).message.split('\n')[0]!);
  }
}

let messageNumber = 0;

/** One text from one client to the other: it must arrive as it was sent, once, and be confirmed. */
async function exchange(
  story: Story,
  from: { name: string; child: Child },
  to: { name: string; child: Child },
  address: string,
): Promise<void> {
  const text = `message ${++messageNumber} from ${from.name}: grüße, 你好`;
  const arrived = (x: ChildEvent): boolean => x.event === 'message' && x.text === text;
  const started = Date.now();
  from.child.command({ cmd: 'send', address, text });
  try {
    await to.child.waitFor(`“${text}”`, stageMs, arrived);
    const got = Date.now() - started;
    const confirmed = await from.child.waitFor(
      'its confirmation',
      stageMs,
      (x) => x.event === 'delivered' && Number(x.ms) >= 0 && sentIds(from.child, text).includes(String(x.id)),
    );
    const copies = to.child.events.filter(arrived).length;
    story.check(
      `${from.name} → ${to.name}: “${text}”`,
      copies === 1,
      `arrived after ${got} ms, confirmed after ${show(confirmed.ms)} ms`,
    );
  } catch (e) {
    story.check(`${from.name} → ${to.name}: “${text}”`, false, (e as Error).message.split('\n')[0]!);
  }
}

/** Ids under which a client queued a text. */
function sentIds(child: Child, text: string): string[] {
  return child.events.filter((e) => e.event === 'queued' && e.text === text).map((e) => String(e.id));
}

/** The main story: two clients that know only each other's address find each other and talk. */
export async function tellLifecycle(network: LocalNetwork, story: Story): Promise<{ a: string; b: string }> {
  story.say(`coordinator ${network.coordinatorAddress} at ${network.coordinatorAt}`);
  for (const r of network.relays) story.say(`${r.child.name} ${r.address} at ${r.tcp}, ${r.ws}`);
  story.say('starting two clients, each a process with a fresh key; they know the relays and nothing else');
  const [a, b] = CLIENT_NAMES.map((n) => network.client(n)) as [Child, Child];
  a.on((e) => e.event === 'stage' && story.stage('A', e));
  b.on((e) => e.event === 'stage' && story.stage('B', e));
  b.on((e) => {
    if (e.event === 'contactRequest') b.command({ cmd: 'accept', address: e.address });
  });
  const [startA, startB] = await Promise.all([
    a.waitFor('start', stageMs, (e) => e.event === 'started'),
    b.waitFor('start', stageMs, (e) => e.event === 'started'),
  ]);
  const addressA = String(startA.address);
  const addressB = String(startB.address);
  story.say(`A is ${addressA}`);
  story.say(`B is ${addressB}`);
  for (const n of [1, 2]) await Promise.all([stageOf(story, 'A', a, n), stageOf(story, 'B', b, n)]);
  story.say(`A is told B’s address and nothing else: looking for it`);
  a.command({ cmd: 'add', address: addressB });
  for (const n of [3, 4, 5]) await stageOf(story, 'A', a, n, addressB);
  await stageOf(story, 'B', b, 5, addressA);
  const [A, B] = [
    { name: 'A', child: a },
    { name: 'B', child: b },
  ];
  await exchange(story, A, B, addressB);
  await exchange(story, B, A, addressA);
  await stageOf(story, 'A', a, 6, addressB);
  await exchange(story, A, B, addressB);
  return { a: addressA, b: addressB };
}
