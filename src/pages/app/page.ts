import { type ClientState, StarlingClient, storageSecret } from '../../client/index.js';
import { dialWebRelay, IndexedDbStorage } from '../../client/web/index.js';
import { createSigner } from '../../identity/index.js';
import { ixianPath, parseRelayInfo, type RelayInfo, relayInfoPath } from '../../link/index.js';
import { NETWORKS } from '../../wire/index.js';
import { byId } from '../common/dom.js';
import { Chat } from './chat.js';
import { placeOf, profileName, takeProfile } from './profile.js';
import { setUpProfiles, setUpWallet } from './settings.js';
import { setUpAdd, setUpOwn } from './sharing.js';
import { Vault } from './vault.js';
import { keepAwake } from './wake.js';
import { identify } from './welcome.js';

/** A relay that just started answers within seconds. */
const infoRetryMs = 2_000;

/** Says why nothing goes on here. */
function block(title: string, text: string): void {
  byId('blocked').hidden = false;
  byId('blocked-title').textContent = title;
  byId('blocked-text').textContent = text;
}

function showState(text: string, kind: 'good' | 'warn' | 'bad'): void {
  const pill = byId('state');
  if (pill.textContent !== text) pill.textContent = text;
  pill.className = `pill ${kind}`;
}

const STATES: Readonly<Record<ClientState, readonly [text: string, kind: 'good' | 'warn' | 'bad']>> = {
  stopped: ['stopped', 'warn'],
  connecting: ['connecting', 'warn'],
  online: ['online', 'good'],
  offline: ['offline, trying again', 'bad'],
};

/** What the relay that served this page says about itself: the first relay, and which network this is. */
async function homeRelay(): Promise<RelayInfo> {
  for (;;) {
    try {
      const answer = await fetch(relayInfoPath);
      if (answer.ok) return parseRelayInfo(await answer.text());
    } catch {
      // not reachable at the moment
    }
    showState('the relay does not answer, trying again', 'bad');
    await new Promise((resolve) => setTimeout(resolve, infoRetryMs));
  }
}

async function start(): Promise<void> {
  if (!isSecureContext) {
    showState('not possible here', 'bad');
    block(
      'This needs a secure address',
      'Browsers offer cryptography only to pages that came over https, or from this very machine. Ask the relay’s operator for its https address, or open this page on the relay’s machine as http://localhost.',
    );
    return;
  }
  const name = profileName(location.hash);
  // Another profile is another identity: nothing of this one may stay in memory.
  addEventListener('hashchange', () => location.reload());
  if (name === null) {
    showState('no such profile', 'bad');
    block('No such profile', 'The name behind # may have letters, digits, - and _, 32 at most.');
    return;
  }
  byId('profile').textContent = name;
  const relay = await homeRelay();
  const place = placeOf(relay.network, name);
  setUpProfiles(relay.network, place);
  await takeProfile(place, () => {
    showState('open elsewhere', 'warn');
    block(
      'This profile is open in another tab',
      'One tab at a time can use it. It continues here by itself once the other one is closed.',
    );
  });
  byId('blocked').hidden = true;

  const vault = await Vault.open(place.wallet);
  showState(vault.address === null ? 'no wallet yet' : 'locked', 'warn');
  for (const user of document.querySelectorAll<HTMLInputElement>('input[name=user]')) user.value = name;
  const { wallet, nick } = await identify(vault);
  const key = wallet.exportPrivateKey();
  const signer = await createSigner(key);
  // From here on the key lives in WebCrypto alone, which does not give it out again.
  key.fill(0);
  wallet.wipe();

  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const client = await StarlingClient.open({
    wallet: signer,
    network: NETWORKS[relay.network],
    relays: [
      { host: relay.endpoint, wallet: relay.address, wsUrl: `${scheme}://${location.host}${ixianPath}` },
    ],
    // Contacts, session keys and texts are encrypted with a secret that only this wallet makes.
    storage: await IndexedDbStorage.open(place.messages, { secret: await storageSecret(signer) }),
    dial: dialWebRelay(),
    nick,
  });
  client.on('state', ({ state }) => showState(...STATES[state]));
  showState(...STATES.connecting);
  const chat = new Chat(client);
  setUpOwn(client);
  setUpAdd(client, (address) => chat.choose(address));
  setUpWallet(vault, client, place);
  keepAwake(client);
  byId('main').focus();
  await client.start();
}

start().catch((e: unknown) => {
  showState('something is wrong', 'bad');
  block('The messenger cannot start', e instanceof Error ? e.message : String(e));
});
