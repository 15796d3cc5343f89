import { isIP } from 'node:net';
import { NETWORKS, type Network, type ProtocolLine } from '../wire/index.js';
import { LoadError } from './errors.js';

/** The relay under test. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Port of the WebSocket, by default the next one (docs/websocket.md §1). */
  readonly wsPort: number;
  readonly network: Network;
  /** How clients present themselves: addresses with checksum (0.9.7) or without. */
  readonly line: ProtocolLine;
}

export interface TargetOptions {
  readonly wsPort?: number | undefined;
  readonly network?: Network['name'] | undefined;
  readonly line?: ProtocolLine | undefined;
  /** The person says that the machine is theirs: without it only loopback addresses are taken. */
  readonly iOwnThisTarget?: boolean | undefined;
}

/** True for an address that cannot leave this machine. A name is believed only when it is `localhost`. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/**
 * Reads `host:port`. A load generator harms whom it is pointed at, so a target outside this machine is refused unless
 * the caller says that it is theirs.
 *
 * @throws LoadError of kind `target`.
 */
export function parseTarget(text: string, options: TargetOptions = {}): Target {
  const m = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = m?.[1] ?? m?.[2] ?? '';
  const port = Number(m?.[3] ?? 0);
  if (m === null || port < 1 || port > 65_535)
    throw new LoadError('target', `a target is host:port, not ${text}`);
  if (!isLoopback(host) && options.iOwnThisTarget !== true)
    throw new LoadError(
      'target',
      `${host} is not this machine. Load tests take relays down; only test what is yours, and say so`,
    );
  const wsPort = options.wsPort ?? port + 1;
  return { host, port, wsPort, network: NETWORKS[options.network ?? 'reg'], line: options.line ?? '0.9.8' };
}
