// A storm: all clients of a relay are cut at once and dial again, as the SDK would, until everybody is back.
//
// The relay signs with a key of two primes, on one core with all its threads. First everybody connects for the first time;
// then the storm in which sessions resume, then the one in which nobody can. It is met as it comes, nothing is warmed. A
// storm whose links were not all up before the cut says nothing: it is undecided.

import { rmSync } from 'node:fs';
import { rawSigning } from './handshakes.mjs';
import { atMost } from './judge.mjs';
import { exportKey, makeWallet, relayFolder, startGenerator, startRelay } from './servers.mjs';

export const about = 'all clients cut at once: until everybody is back, without and with resumption';

export const sizes = { full: { clients: 10_000 }, short: { clients: 2_000 } };

const barOfLeast = 1.3;
const barSeconds = 6;
/** A relay that has just started measures engines and starts threads; storms hit one that runs. */
const settleSeconds = 3;

/** A bar that a storm met after a part of its clients was lost already cannot meet. */
const whenAllUp = (bar, storm, clients) => (storm.up === clients ? bar : { ...bar, verdict: 'undecided' });

export async function run(settings) {
  const { clients } = settings.size;
  const generator = startGenerator('handshakes');
  const folder = relayFolder();
  try {
    makeWallet(folder);
    const pem = exportKey(folder);
    settings.say(`${clients} hellos`);
    await generator.ask({ what: 'prepare', count: clients });
    const before = rawSigning(pem);
    const relay = await startRelay({ folder });
    const stormOf = async (name, command) => {
      settings.say(name);
      const answer = await generator.ask({ ...command, serverPid: relay.pid });
      settings.say(`  ${answer.clients} in ${answer.all.toFixed(1)} s, half in ${answer.p50.toFixed(1)} s`);
      return answer;
    };
    let filled;
    let resumed;
    let full;
    let opened;
    try {
      await generator.ask({ what: 'target', port: relay.port, endpoint: relay.endpoint });
      await new Promise((r) => setTimeout(r, 1_000 * settleSeconds));
      filled = await stormOf('everybody for the first time', { what: 'fill' });
      opened = await generator.ask({ what: 'open' });
      resumed = await stormOf('storm, sessions resume', { what: 'storm', resume: true });
      full = await stormOf('storm, nobody can resume', { what: 'storm', resume: false });
    } finally {
      await relay.stop();
    }
    const after = rawSigning(pem);
    const rate = (before + after) / 2;
    const noise = Math.abs(before - after) / rate;
    const least = clients / rate;
    const group = `${clients.toLocaleString('en-US')} clients, 10 s an attempt`;
    const row = (name, s) => ({
      group,
      name,
      all: s.all,
      half: s.p50,
      up: s.up,
      relay: s.busy.relay,
      generator: s.busy.generator,
      again: Object.entries(s.ends).reduce((n, [how, count]) => n + (how === 'open' ? 0 : count), 0),
    });
    return {
      title: 'Storm',
      bars: [
        whenAllUp(
          atMost('storm, all back : clients / signing rate', barOfLeast, full.all / least, noise, {
            unit: '×',
          }),
          full,
          clients,
        ),
        whenAllUp(
          atMost('storm with resumption, all back', barSeconds, resumed.all, 0, { unit: 's' }),
          resumed,
          clients,
        ),
      ],
      rows: [
        { group, name: 'clients / signing rate', all: least },
        row('relay, everybody for the first time', filled),
        row('relay, storm', full),
        row('relay, storm with resumption', resumed),
      ],
      columns: {
        all: 's until all are back',
        half: 's until half are',
        up: 'up before the cut',
        again: 'attempts that failed',
        relay: 'relay cores',
        generator: 'generator load',
      },
      chart: { value: 'all', unit: 's' },
      tickets: opened,
      ends: { filled: filled.ends, resumed: resumed.ends, full: full.ends },
    };
  } finally {
    await generator.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
