import { addressText, decodeWalletFile, type Wallet, WalletError } from '../../identity/index.js';
import { byId } from '../common/dom.js';
import { Vault } from './vault.js';
import { problemText } from './words.js';

/** Largest file read as a wallet; real ones have some kilobytes. */
const fileBytesMax = 65_536;

/** A wallet that may be used, and the name its contacts see. */
export interface Identity {
  readonly wallet: Wallet;
  readonly nick: string;
}

/** Asks for the password, or for everything a new wallet needs; resolves with an open wallet. */
export function identify(vault: Vault): Promise<Identity> {
  return vault.address === null ? welcome(vault) : unlock(vault);
}

/** Runs `work` for each submission until it succeeds; shows what went wrong, and never runs two at once. */
function until<T>(
  forms: readonly (readonly [id: string, work: (data: FormData) => Promise<T>])[],
  section: string,
): Promise<T> {
  const error = byId(`${section}-error`);
  const progress = byId(`${section}-progress`);
  let busy = false;
  return new Promise((resolve) => {
    for (const [id, work] of forms) {
      const form = byId<HTMLFormElement>(id);
      form.addEventListener('submit', (event) => {
        event.preventDefault();
        if (busy) return;
        busy = true;
        error.textContent = '';
        const button = form.querySelector('button')!;
        button.disabled = true;
        work(new FormData(form))
          .then(
            (done) => {
              form.reset();
              byId(section).hidden = true;
              resolve(done);
            },
            (e: unknown) => {
              error.textContent = problemText(e);
            },
          )
          .finally(() => {
            busy = false;
            button.disabled = false;
            progress.textContent = '';
          });
      });
    }
  });
}

function unlock(vault: Vault): Promise<Identity> {
  byId('unlock').hidden = false;
  byId('unlock-address').textContent = vault.address;
  byId('unlock').querySelector<HTMLInputElement>('input[type=password]')?.focus();
  const work = async (data: FormData): Promise<Identity> => {
    byId('unlock-progress').textContent = 'Unlocking …';
    return { wallet: await vault.unlock(String(data.get('password'))), nick: vault.nick };
  };
  return until([['unlock-form', work]], 'unlock');
}

function welcome(vault: Vault): Promise<Identity> {
  byId('welcome').hidden = false;
  const progress = byId('welcome-progress');
  const keep = async (wallet: Wallet, nick: string, password: string): Promise<Identity> => {
    progress.textContent = 'Locking the wallet with your password …';
    await vault.keep(wallet, addressText(wallet.primary), nick, password);
    return { wallet, nick };
  };
  const create = async (data: FormData): Promise<Identity> => {
    const password = String(data.get('password'));
    if (password !== data.get('again')) throw new Error('The two passwords differ.');
    const wallet = await Vault.generate(({ elapsedMs }) => {
      progress.textContent = `Making a key of 4096 bits … ${Math.round(elapsedMs / 1000)} s`;
    });
    return keep(wallet, String(data.get('nick')).trim(), password);
  };
  const bring = async (data: FormData): Promise<Identity> => {
    const file = data.get('file');
    if (!(file instanceof File) || file.size > fileBytesMax)
      throw new WalletError('CORRUPT', 'it is too long');
    const password = String(data.get('password'));
    const wallet = decodeWalletFile(new Uint8Array(await file.arrayBuffer()), password);
    return keep(wallet, String(data.get('nick')).trim(), String(data.get('fresh')) || password);
  };
  return until(
    [
      ['create', create],
      ['import', bring],
    ],
    'welcome',
  );
}
