// Simulates a storm on one relay whose signatures are the bottleneck: in which order to sign, and what to tell
// those that have to wait. No sockets, no cryptography, no clock: an event queue and a printed seed.
//
//   node bench/relay/storm-order.mjs [CLIENTS] [SEED]
//
// newest  signs the newest hello first and refuses nobody; clients give up after 10 s and double their waits
// oldest  signs in order, refuses at once who could not be served in time; clients double their waits
// called  the same, and tells who is refused when to come back (src/relay/sign-queue.ts)

const PATIENCE_MS = 10_000;
const MARGIN_MS = 500;
const QUEUE_MAX = 4_096;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 60_000;
const CALLED_BACK_AT_MS = 3_000;
const CALLED_BACK_TIMES = 1.25;
const ADMISSION_FACTOR = 1.1;

class Events {
  #heap = [];
  get size() {
    return this.#heap.length;
  }
  add(at, run) {
    const h = this.#heap;
    let i = h.push({ at, run }) - 1;
    for (let p = (i - 1) >> 1; i > 0 && h[p].at > h[i].at; p = (i - 1) >> 1) {
      [h[p], h[i]] = [h[i], h[p]];
      i = p;
    }
  }
  next() {
    const h = this.#heap;
    const first = h[0];
    const last = h.pop();
    if (h.length === 0) return first;
    h[0] = last;
    for (let i = 0; ; ) {
      let c = 2 * i + 1;
      if (c >= h.length) return first;
      if (c + 1 < h.length && h[c + 1].at < h[c].at) c++;
      if (h[i].at <= h[c].at) return first;
      [h[i], h[c]] = [h[c], h[i]];
      i = c;
    }
  }
}

function storm(order, clients, rate, seed) {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const cost = 1_000 / rate;
  const events = new Events();
  const queue = [];
  const doneMs = [];
  let now = 0;
  let signing = false;
  let nextCall = 0;
  let refused = 0;
  let wasted = 0;

  const later = (client, asked) => {
    const doubled = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(client.failures++, 20));
    const wait = asked === undefined ? doubled * (0.5 + random()) : asked * (1 + 0.1 * random());
    events.add(now + wait, () => dial(client));
  };
  const work = () => {
    if (signing) return;
    let hello;
    do hello = order === 'newest' ? queue.pop() : queue.shift();
    while (hello?.gone === true);
    if (hello === undefined) return;
    signing = true;
    events.add(now + cost, () => {
      signing = false;
      hello.signed = true;
      if (hello.gone) wasted++;
      else doneMs.push(now);
      work();
    });
  };
  const dial = (client) => {
    const ready = (queue.length + (signing ? 1 : 0) + 1) * cost;
    if (
      order !== 'newest' &&
      (ADMISSION_FACTOR * ready + MARGIN_MS > PATIENCE_MS || queue.length >= QUEUE_MAX)
    ) {
      refused++;
      if (order === 'oldest') return later(client);
      const at = Math.max(now + Math.max(0, ready - CALLED_BACK_AT_MS), nextCall, now + RETRY_MS_MIN);
      if (at - now >= RETRY_MS_MAX) return later(client, RETRY_MS_MAX);
      nextCall = at + cost / CALLED_BACK_TIMES;
      return later(client, at - now);
    }
    const hello = { gone: false, signed: false };
    queue.push(hello);
    events.add(now + PATIENCE_MS, () => {
      if (hello.signed) return;
      hello.gone = true;
      later(client);
    });
    work();
  };
  for (let i = 0; i < clients; i++) events.add(random() * 200, () => dial({ failures: 0 }));
  while (events.size > 0 && doneMs.length < clients && now < 3_600_000) {
    const e = events.next();
    now = e.at;
    e.run();
  }
  const s = (ms) => (ms / 1_000).toFixed(1);
  return {
    order,
    'signatures/s': rate,
    served: doneMs.length,
    'least s': s(clients * cost),
    'all back s': s(doneMs.at(-1)),
    'median s': s(doneMs[doneMs.length >> 1]),
    refused,
    wasted,
  };
}

const clients = Number(process.argv[2] ?? 10_000);
const seed = Number(process.argv[3] ?? 1);
console.log(`${clients} clients at once, seed ${seed}`);
console.table(
  [200, 500].flatMap((rate) => ['newest', 'oldest', 'called'].map((o) => storm(o, clients, rate, seed))),
);
