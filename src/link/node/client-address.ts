import { BlockList, isIP } from 'node:net';
import { plainAddress } from '../transport.js';

/** The header a reverse proxy writes the client's address to. */
export type ForwardedHeader = 'x-forwarded-for' | 'forwarded';

/** Entries of a forwarding header that are looked at; real chains have one to three. */
const hopsMax = 16;

/**
 * A set of address ranges.
 *
 * @throws RangeError for text that is neither an address nor CIDR.
 */
export function addressRanges(cidrs: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [net = '', bits] = cidr.split('/');
    const version = isIP(net);
    const max = version === 6 ? 128 : 32;
    const prefix = bits === undefined ? max : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (version === 0 || prefix < 0 || prefix > max) throw new RangeError(`not an address range: ${cidr}`);
    list.addSubnet(net, prefix, version === 6 ? 'ipv6' : 'ipv4');
  }
  // Asked for every connection: an empty list must not make an object to compare with nothing.
  if (cidrs.length === 0) return () => false;
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

/** `for=` values of a Forwarded header (RFC 7239), in order. */
function forwardedFor(header: string): string[] {
  return header.split(',').map((hop) => {
    const m = /(?:^|;)\s*for=(?:"([^"]*)"|([^;,\s]*))/i.exec(hop);
    return m === null ? '' : (m[1] ?? m[2] ?? '');
  });
}

/** The address of `host`, `host:port`, `[v6]` or `[v6]:port`; `''` for anything else. */
function hopAddress(text: string): string {
  const t = text.trim();
  const v6 = /^\[([^\]]+)\](?::\d+)?$/.exec(t);
  if (v6 !== null) return isIP(v6[1]!) === 6 ? plainAddress(v6[1]!) : '';
  const v4 = /^([\d.]+):\d+$/.exec(t);
  const bare = v4 === null ? t : v4[1]!;
  return isIP(bare) === 0 ? '' : plainAddress(bare);
}

/**
 * Who really connected. The header is believed only as far as trusted proxies wrote it: from the right, every
 * trusted hop vouches for the one before it; the first that is not trusted is the client.
 */
export function clientAddress(
  socketAddress: string,
  headerValue: string,
  kind: ForwardedHeader,
  trusted: (address: string) => boolean,
): string {
  let client = plainAddress(socketAddress);
  if (headerValue === '' || !trusted(client)) return client;
  const hops = kind === 'forwarded' ? forwardedFor(headerValue) : headerValue.split(',');
  for (const hop of hops.reverse().slice(0, hopsMax)) {
    const address = hopAddress(hop);
    if (address === '') break; // obfuscated or broken: the last one known is all there is
    client = address;
    if (!trusted(client)) break;
  }
  return client;
}
