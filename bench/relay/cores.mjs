// What the server's core does in a second while the generator's core idles, and while that one works too.
//
// Two processors of a virtual machine may be the two threads of one core, or share with somebody unseen. Then whatever the
// generator does takes from the server: a rate that was measured alone, as that of signatures is, cannot be reached in
// company, and every ratio to one has to be read with this table.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { rawSigning } from './handshakes.mjs';
import { median } from './judge.mjs';
import { exportKey, generatorCore, makeWallet, pinned, relayFolder, root } from './servers.mjs';

export const about =
  "RSA-4096 signatures of the server's core while the other core idles, and while it works";

const rounds = 3;
/** Longer than a measurement of signatures takes. */
const busySeconds = 20;

export async function run(settings) {
  const folder = relayFolder();
  const alone = [];
  const beside = [];
  try {
    makeWallet(folder);
    const pem = exportKey(folder);
    for (let i = 0; i < rounds; i++) {
      settings.say(`round ${i + 1} of ${rounds}`);
      alone.push(rawSigning(pem));
      const spin = pinned(generatorCore, process.execPath, [
        join(root, 'bench/relay/generator/spin.mjs'),
        String(busySeconds),
      ]);
      beside.push(rawSigning(pem));
      await spin.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const group = 'RSA-4096 signatures, one thread on the server’s core';
  const row = (name, list) => ({
    group,
    name,
    rate: median(list),
    least: Math.min(...list),
    most: Math.max(...list),
    share: median(list) / median(alone),
  });
  return {
    title: 'What a core does beside the other',
    bars: [],
    rows: [row('generator’s core idle', alone), row('generator’s core busy', beside)],
    columns: { rate: 'signatures/s', least: 'least', most: 'most', share: 'of alone' },
    chart: { value: 'rate', unit: 'signatures/s' },
  };
}
