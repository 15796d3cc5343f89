import { connect } from 'node:net';
import { type Clock, systemClock } from '../../clock/index.js';
import { Bye, Code, concatBytes, encodeBye, encodeFrame, PROBE_BYTE } from '../../wire/index.js';
import { parseEndpoint } from '../transport.js';

/** How long the TCP connection may take (docs/protocol/03 §3.6). */
export const probeTimeoutMs = 1_000;

/** Probes under way at once: each holds one descriptor for at most a second. */
export const probesAtOnceMax = 64;

/** Probes of one target address per minute: the probe must not become somebody's port scanner. */
export const probesPerAddressPerMinuteMax = 30;

/** Addresses whose probes are counted; beyond, the oldest are forgotten. */
export const probedAddressesMax = 10_000;

/** What a probed node receives: one zero byte and a bye 200. */
export function probeBytes(): Uint8Array {
  return concatBytes(
    Uint8Array.of(PROBE_BYTE),
    encodeFrame(Code.bye, encodeBye({ code: Bye.bye, text: 'Test OK', data: '' })),
  );
}

export interface ProbeOptions {
  readonly clock?: Clock;
  /** Source address to bind. */
  readonly localAddress?: string;
}

/**
 * Connectivity probe (03 §3.6): true when a connection came about and both writes were taken. Nothing is
 * read; the socket is always let go, which the reference forgets after a failure.
 */
export function probe(endpoint: string, options: ProbeOptions = {}): Promise<boolean> {
  const target = parseEndpoint(endpoint);
  if (target === null) return Promise.resolve(false);
  const clock = options.clock ?? systemClock;
  return new Promise((resolve) => {
    const socket = connect({
      host: target.ip,
      port: target.port,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    const timer = clock.after(probeTimeoutMs, () => done(false));
    const done = (reachable: boolean): void => {
      timer.cancel();
      resolve(reachable);
      if (reachable) socket.end();
      else socket.destroy();
    };
    socket.on('error', () => done(false));
    socket.once('connect', () => {
      timer.cancel();
      // Only the connection has the second; a full peer window cannot swallow 26 bytes.
      socket.setTimeout(probeTimeoutMs, () => socket.destroy());
      socket.write(probeBytes(), (error) => done(error === undefined || error === null));
    });
    socket.resume();
  });
}

/**
 * Probes with limits: never more than {@link probesAtOnceMax} at a time and
 * {@link probesPerAddressPerMinuteMax} per target address; beyond, the answer is false without a connection.
 * Two hellos for one endpoint share one probe.
 */
export class Prober {
  readonly #options: ProbeOptions;
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #counts = new Map<string, { minute: number; count: number }>();
  /** Probes refused by a limit. */
  refused = 0;

  constructor(options: ProbeOptions = {}) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  probe(endpoint: string): Promise<boolean> {
    const target = parseEndpoint(endpoint);
    if (target === null) return Promise.resolve(false);
    const running = this.#running.get(endpoint);
    if (running !== undefined) return running;
    if (this.#running.size >= probesAtOnceMax || !this.#take(target.ip)) {
      this.refused++;
      return Promise.resolve(false);
    }
    const result = probe(endpoint, this.#options).finally(() => this.#running.delete(endpoint));
    this.#running.set(endpoint, result);
    return result;
  }

  #take(ip: string): boolean {
    const minute = Math.floor(this.#clock.nowMs() / 60_000);
    const entry = this.#counts.get(ip);
    if (entry !== undefined && entry.minute === minute) return ++entry.count <= probesPerAddressPerMinuteMax;
    this.#counts.delete(ip);
    if (this.#counts.size >= probedAddressesMax) this.#counts.delete(this.#counts.keys().next().value!);
    this.#counts.set(ip, { minute, count: 1 });
    return true;
  }
}
