import { defaultLinkLimits as d, type LinkLimits } from '../link/index.js';
import type { LimitSpec } from './limit-spec.js';

const closed = (reason: string): string => `ixian_connections_closed_total{direction,reason="${reason}"}`;

/** Limits of each connection; their values are those of the link room. */
export const LINK_LIMITS = {
  helloTimeoutMs: {
    value: d.helloTimeoutMs,
    unit: 'ms',
    bounds: 'time until the hello is complete',
    why: '03 §2.5',
    sees: 'the end of the connection, without a word',
    counter: closed('hello_timeout'),
    setting: { key: 'helloTimeoutMs', min: 500, max: 600_000 },
    reloadable: true,
  },
  preHelloBytesMax: {
    value: d.preHelloBytesMax,
    unit: 'bytes',
    bounds: 'bytes of any kind that an inbound connection may send before its hello is complete',
    why: 'an honest hello, its time records and its pings are less than 8 kB',
    sees: 'the end of the connection, without a word',
    counter: closed('pre_hello_bytes'),
    setting: { key: 'maxPreHelloBytes', min: 16_384, max: 10_000_000 },
    reloadable: true,
  },
  preHelloGarbageBytesMax: {
    value: d.preHelloGarbageBytesMax,
    unit: 'bytes',
    bounds:
      'bytes before the hello that begin no frame and no time record and are no ping; the rest of them is not looked at',
    why: 'no peer sends any (03 §2); what does is a scanner or a flood',
    sees: 'the end of the connection, without a word; see `sourceOffencesPerSecond`',
    counter: closed('pre_hello_garbage'),
    setting: { key: 'maxPreHelloGarbageBytes', min: 0, max: 10_000_000 },
    reloadable: true,
  },
  silenceMs: {
    value: d.silenceMs,
    unit: 'ms',
    bounds: 'time without a byte from the peer',
    why: '03 §2.5',
    sees: 'the end of the connection, without a word',
    counter: closed('silence'),
    setting: { key: 'silenceMs', min: 500, max: 3_600_000 },
    reloadable: true,
  },
  writeStallMs: {
    value: d.writeStallMs,
    unit: 'ms',
    bounds: 'time in which a peer takes not one byte of what waits for it',
    why: 'it does not read at all; longer than any pause of a mobile network that is still alive',
    sees: 'the end of the connection, without a word: it would not read one',
    counter: closed('write_stall'),
    setting: { key: 'writeStallMs', min: 500, max: 3_600_000 },
    reloadable: true,
  },
  slowReceiverMs: {
    value: d.slowReceiverMs,
    unit: 'ms',
    bounds: 'time since a queue was first full without having been half empty again',
    why: 'it reads, but less than is sent to it; by now much was lost, and its senders were told each time',
    sees: 'bye 605, “Reading too slowly”, then the end of the connection after 3 s',
    counter: closed('slow_receiver'),
    setting: { key: 'slowReceiverMs', min: 500, max: 3_600_000 },
    reloadable: true,
  },
  sendQueueFramesMax: {
    value: d.sendQueueFramesMax,
    unit: 'frames',
    bounds: 'frames in each of the four send queues of a connection',
    why: 'as the reference (03 §2.6)',
    sees: 'nothing; the sender of a message gets the error of 07 §9.3',
    counter: 'ixian_queue_dropped_total{queue,reason="frames"}',
    setting: { key: 'maxQueueFrames', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  sendQueueBytesMax: {
    value: d.sendQueueBytesMax,
    unit: 'bytes',
    bounds: 'bytes in each of the four send queues of a connection; one frame always fits an empty queue',
    why: 'a second of a fast connection, half a minute of a slow one',
    sees: 'nothing; the sender of a message gets the error of 07 §9.3',
    counter: 'ixian_queue_dropped_total{queue,reason="bytes"}',
    setting: { key: 'maxQueueBytes', min: 65_536, max: 10_000_000_000 },
    reloadable: true,
  },
} as const satisfies Readonly<Partial<Record<keyof LinkLimits, LimitSpec>>>;
