import { networkInterfaces } from 'node:os';
import { isPublicIpv4, parseIpv4 } from '../presence/index.js';

/** IPv4 addresses of this machine's interfaces, loopback included. */
export function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter((i) => i.family === 'IPv4').map((i) => i.address),
  );
}

/** The last public IPv4 of this machine's interfaces, `''` without one (03 §5.4 rule 2). */
export function guessPublicIp(): string {
  return (
    localAddresses().findLast((a) => {
      const ip = parseIpv4(a);
      return ip !== null && isPublicIpv4(ip);
    }) ?? ''
  );
}
