import { addressFromText, addressText } from '../identity/index.js';
import { DecodeError, type Network } from '../wire/index.js';
import { parseEndpoint } from './transport.js';

/** Path of the protocol's WebSocket (docs/websocket.md). */
export const ixianPath = '/ixian';

/** Path of the tunnel to relays that speak TCP only, with the query `to=ip:port` (docs/websocket.md §8). */
export const tunnelPath = '/ixian/dial';

/** Path of the public document about a relay (docs/websocket.md). */
export const relayInfoPath = '/v1/info';

/** Largest document read from a stranger. */
export const relayInfoBytesMax = 16 * 1024;

/** The public document about a relay: what a browser needs to reach it and to check whom it reached. */
export interface RelayInfo {
  readonly network: Network['name'];
  /** Raw address of the relay's wallet. */
  readonly address: Uint8Array;
  /** TCP endpoint as in its presence, `ip:port`: helloData is signed over it. */
  readonly endpoint: string;
  /** `ws://…/ixian` or `wss://…/ixian`, null where the relay serves TCP only. */
  readonly webSocket: string | null;
  /** Product version, e.g. `starling-0.1.0`. */
  readonly version: string;
  /** Whether it connects browsers to relays that serve TCP only ({@link tunnelUrl}). */
  readonly tunnel?: boolean;
}

/** The document as JSON members; the caller may add more. */
export function relayInfoJson(info: RelayInfo): Record<string, string | boolean | null> {
  return {
    network: info.network,
    address: addressText(info.address),
    endpoint: info.endpoint,
    webSocket: info.webSocket,
    version: info.version,
    ...(info.tunnel === undefined ? {} : { tunnel: info.tunnel }),
  };
}

function member(object: object, name: string): string {
  const value: unknown = (object as Record<string, unknown>)[name];
  if (typeof value !== 'string' || value.length > 512) throw new DecodeError('FORMAT', `info.${name}`, 0);
  return value;
}

/**
 * Reads the document of a relay; unknown members are ignored.
 *
 * @throws DecodeError naming the member.
 */
export function parseRelayInfo(text: string): RelayInfo {
  if (text.length > relayInfoBytesMax) throw new DecodeError('TOOLONG', 'info', 0);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DecodeError('FORMAT', 'info', 0, 'not JSON');
  }
  if (typeof json !== 'object' || json === null) throw new DecodeError('FORMAT', 'info', 0, 'not an object');
  const network = member(json, 'network');
  if (network !== 'main' && network !== 'test' && network !== 'reg')
    throw new DecodeError('RANGE', 'info.network', 0);
  const endpoint = member(json, 'endpoint');
  if (parseEndpoint(endpoint) === null) throw new DecodeError('FORMAT', 'info.endpoint', 0);
  const hasSocket = 'webSocket' in json && json.webSocket !== null;
  const webSocket = hasSocket ? member(json, 'webSocket') : null;
  if (webSocket !== null && !/^wss?:\/\/[^/]+\/\S*$/.test(webSocket))
    throw new DecodeError('FORMAT', 'info.webSocket', 0);
  return {
    network,
    address: addressFromText(member(json, 'address')),
    endpoint,
    webSocket,
    version: 'version' in json ? member(json, 'version') : '',
    ...('tunnel' in json ? { tunnel: json.tunnel === true } : {}),
  };
}

/** Where the document of the relay behind a WebSocket URL is. */
export function relayInfoUrl(webSocketUrl: string): string {
  const u = new URL(webSocketUrl);
  return `${u.protocol === 'wss:' ? 'https' : 'http'}://${u.host}${relayInfoPath}`;
}

/** The tunnel of the relay behind a WebSocket URL to another relay's TCP endpoint. */
export function tunnelUrl(webSocketUrl: string, endpoint: string): string {
  const u = new URL(webSocketUrl);
  return `${u.protocol}//${u.host}${tunnelPath}?to=${encodeURIComponent(endpoint)}`;
}
