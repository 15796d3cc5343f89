import type { ApiBackend } from './backend.js';
import type { Json } from './envelope.js';
import { array, number, object, oneOf, string } from './schema.js';
import { V1Error, type V1Route } from './v1-route.js';

/** Gauges that tell what waits, and in what unit. Their labels are the queue's name where there are several. */
const WAITING = {
  ixian_queue_messages: 'frames',
  ixian_queue_bytes: 'bytes',
  ixian_memory_queued_bytes: 'bytes',
  ixian_verify_pending: 'signatures',
  ixian_verify_queue_items: 'signatures',
  ixian_handovers_pending: 'connections',
} as const;

/** Everything that waits in this relay now, of all its processes. */
async function queues(b: ApiBackend): Promise<Json> {
  const { counters, sampled } = await b.node.numbers();
  const held = counters
    .samples()
    .flatMap(({ name, labels, metric }) =>
      'value' in metric ? [{ name, labels, value: metric.value }] : [],
    );
  const dropped = new Map<string, number>();
  for (const { name, labels, value } of held)
    if (name === 'ixian_queue_dropped_total')
      dropped.set(labels.queue ?? '', (dropped.get(labels.queue ?? '') ?? 0) + value);
  const waiting = [...held, ...sampled].flatMap(({ name, labels, value }) =>
    name in WAITING
      ? [{ gauge: name, queue: labels?.queue ?? '', unit: WAITING[name as keyof typeof WAITING], value }]
      : [],
  );
  return { waiting, dropped: [...dropped].map(([queue, value]) => ({ queue, value })) };
}

const ledgerOnly = (what: string) => (): never => {
  throw new V1Error(501, 'no_ledger_side', `${what}: a relay without the ledger's own side does not know it`);
};

/** What the relay holds and waits for, and what only the ledger's side will know. */
export const STATE_ROUTES: readonly V1Route[] = [
  {
    method: 'GET',
    path: '/v1/queues',
    about: 'What waits now, in queues and at the verify pool, and what queues did not take since the start',
    role: 'viewer',
    changes: false,
    answer: object({
      waiting: array(
        object({
          gauge: string,
          queue: string,
          unit: oneOf('frames', 'bytes', 'signatures', 'connections'),
          value: number,
        }),
      ),
      dropped: array(object({ queue: string, value: number })),
    }),
    run: queues,
  },
  {
    method: 'GET',
    path: '/v1/names/{name}',
    about: 'A registered name’s record. Answers 501 until the ledger side exists',
    role: 'viewer',
    changes: false,
    answer: object({ name: string }),
    refusals: [501],
    run: ledgerOnly('names'),
  },
  {
    method: 'GET',
    path: '/v1/earnings',
    about: 'Relay fees per day. Answers 501 until the ledger side exists',
    role: 'viewer',
    changes: false,
    parameters: [
      { name: 'from', in: 'query', about: 'first day, YYYY-MM-DD', schema: string },
      { name: 'to', in: 'query', about: 'last day, YYYY-MM-DD', schema: string },
    ],
    answer: array(object({ day: string, amount: string })),
    refusals: [501],
    run: ledgerOnly('earnings'),
  },
];
