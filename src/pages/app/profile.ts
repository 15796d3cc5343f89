/**
 * A browser can hold several identities: `/app#alice` and `/app#bob` are two profiles, each with its own wallet, contacts
 * and messages. The part behind the `#` never leaves the browser, so the relay does not learn a profile's name.
 */

/** Letters, digits, `-` and `_`: the name is part of a database's name and of a URL. */
const allowed = /^[A-Za-z0-9_-]{1,32}$/;
const databasePrefix = 'starling-app';

/** The profile that the address bar asks for; `main` without one. Null for a name that is not allowed. */
export function profileName(hash: string): string | null {
  const name = hash.replace(/^#/, '');
  // The skip link's target is no profile.
  if (name === '') return 'main';
  return allowed.test(name) ? name : null;
}

/** Where one profile on one network keeps its things. */
export interface ProfilePlace {
  readonly name: string;
  /** Database of contacts, keys and messages, encrypted. */
  readonly messages: string;
  /** Database of the wallet. */
  readonly wallet: string;
  /** Name of the lock that only one tab at a time can hold. */
  readonly lock: string;
}

/** Wallet and keys of one network mean nothing on another: each has stores of its own. */
export function placeOf(network: string, name: string): ProfilePlace {
  const base = `${databasePrefix}/${network}/${name}`;
  return { name, messages: `${base}/messages`, wallet: `${base}/wallet`, lock: base };
}

/** Profiles that have a wallet in this browser on this network, and the one that is open. */
export async function profileNames(network: string, open: string): Promise<string[]> {
  const found = new Set([open]);
  // Not every browser lists its databases; then only the open one is shown.
  for (const { name } of (await indexedDB.databases?.()) ?? []) {
    const parts = name?.split('/') ?? [];
    if (parts[0] === databasePrefix && parts[1] === network && parts[3] === 'wallet') found.add(parts[2]!);
  }
  return [...found].sort();
}

/**
 * Resolves once this tab alone has the profile, and keeps it until the tab is closed. Two tabs on one profile would
 * answer each message twice and overwrite each other's keys. `onBusy` is called when another tab has it.
 */
export function takeProfile(place: ProfilePlace, onBusy: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const hold = (): Promise<never> => {
      resolve();
      return new Promise(() => undefined); // never given back while this tab lives
    };
    navigator.locks
      .request(place.lock, { ifAvailable: true }, (lock) => {
        if (lock !== null) return hold();
        onBusy();
        void navigator.locks.request(place.lock, hold).catch(reject);
        return undefined;
      })
      .catch(reject);
  });
}

/** Forgets a profile. */
export async function deleteProfile(place: ProfilePlace): Promise<void> {
  for (const name of [place.messages, place.wallet])
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onerror = () => reject(request.error);
      // Its own open connection closes itself when asked (IndexedDbStorage does).
    });
}
