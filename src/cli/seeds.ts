import { addressFromText } from '../identity/index.js';
import type { Candidate } from '../relay/index.js';
import type { Network } from '../wire/index.js';
import { usageError } from './exit.js';

/** Built-in ledger nodes of the main network with the wallets they must prove (docs/protocol/03 §5.5). */
const MAIN_SEEDS: readonly (readonly [host: string, wallet: string])[] = [
  ['seed1.ixian.io:10234', '1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWB'],
  ['seed2.ixian.io:10234', '1NpizdRi5rmw586Aw883CoQ7THUT528CU5JGhGomgaG9hC3EF'],
  ['seed3.ixian.io:10234', '1Dp9bEFkymhN8PcN7QBzKCg2buz4njjp4eJeFngh769H4vUWi'],
  ['seed4.ixian.io:10234', '1SWy7jYky8xkuN5dnr3aVMJiNiQVh4GSLggZ9hBD3q7ALVEYY'],
  ['seed5.ixian.io:10234', '1R2WxZ7rmQhMTt5mCFTPhPe9Ltw8pTPY6uTsWHCvVd3GvWupC'],
  ['seed1.ixilabs.com:10235', '3TA9meGrkwoX8fJzQReuF1sxLZkNyRgbUKqJysfy6vqshAoMVAzvQKXgAkbJDaCNA'],
];

/** Test and regression networks share theirs; no wallet is pinned there. */
const TEST_SEEDS: readonly string[] = [
  'seedtest1.ixian.io:11234',
  'seedtest2.ixian.io:11235',
  'seedtest3.ixian.io:11236',
];

/** Ledger nodes to begin with: those configured, which replace the built-in ones (03 §5.5). */
export function seedPeers(network: Network, configured: readonly string[]): Candidate[] {
  if (configured.length > 0)
    return configured.map((host) => {
      if (!/^[^\s:]+:\d{1,5}$/.test(host)) throw usageError(`not host:port: ${host}`);
      return { host, wallet: null };
    });
  if (network.name === 'main')
    return MAIN_SEEDS.map(([host, wallet]) => ({ host, wallet: addressFromText(wallet) }));
  return TEST_SEEDS.map((host) => ({ host, wallet: null }));
}
