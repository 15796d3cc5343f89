import { isIPv4 } from 'node:net';

/** The sixteen-bit groups of an IPv6 address, null for anything else. */
function ipv6Groups(text: string): number[] | null {
  const plain = text.split('%')[0]!;
  const halves = plain.split('::');
  if (halves.length > 2 || !plain.includes(':')) return null;
  const groups = (half: string): number[] =>
    half === ''
      ? []
      : half.split(':').flatMap((g) => {
          if (!isIPv4(g)) return [Number.parseInt(g, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = g.split('.').map(Number);
          return [(a << 8) | b, (c << 8) | d];
        });
  const head = groups(halves[0]!);
  const tail = groups(halves[1] ?? '');
  const missing = 8 - head.length - tail.length;
  if (missing < 0 || (halves.length === 1 && missing !== 0)) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return all.every((g) => g >= 0 && g <= 0xffff) ? all : null;
}

/**
 * The source prefix an address belongs to, as a key: whoever holds a subnet changes addresses within it freely.
 * What is no IP address (connections within one process) is a prefix of its own.
 */
export function sourcePrefix(address: string, ipv4Bits: number, ipv6Bits: number): string {
  if (isIPv4(address)) {
    if (ipv4Bits >= 32) return address;
    const number = address.split('.').reduce((n, part) => n * 256 + Number(part), 0);
    const size = 2 ** (32 - ipv4Bits);
    return `4:${number - (number % size)}`;
  }
  const groups = ipv6Groups(address);
  if (groups === null) return address;
  const kept = groups.map((g, i) => {
    const bits = Math.min(16, Math.max(0, ipv6Bits - 16 * i));
    return g & ((0xffff << (16 - bits)) & 0xffff);
  });
  return `6:${kept.map((g) => g.toString(16)).join(':')}`;
}
