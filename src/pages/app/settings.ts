import type { StarlingClient } from '../../client/index.js';
import { byId, element } from '../common/dom.js';
import { deleteProfile, type ProfilePlace, profileNames } from './profile.js';
import type { Vault } from './vault.js';
import { problemText } from './words.js';

/** Profiles of this browser: there before a wallet is. */
export function setUpProfiles(network: string, place: ProfilePlace): void {
  const dialog = byId<HTMLDialogElement>('settings');
  byId('show-settings').hidden = false;
  byId('show-settings').addEventListener('click', () => {
    byId('settings-error').textContent = '';
    byId('settings-told').textContent = '';
    void profileNames(network, place.name).then((names) => {
      const rows = names.map((name) =>
        element(
          'li',
          {},
          name === place.name
            ? element('strong', {}, `${name} (this one)`)
            : element('a', { href: `/app#${name}` }, name),
        ),
      );
      byId('profiles').replaceChildren(...rows);
      dialog.showModal();
    });
  });
  byId<HTMLFormElement>('new-profile').addEventListener('submit', (event) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    location.hash = String(data.get('name')); // the page loads anew for another profile
  });
}

/** Export, connections, deletion: once the wallet is open. */
export function setUpWallet(vault: Vault, client: StarlingClient, place: ProfilePlace): void {
  const error = byId('settings-error');
  const told = byId('settings-told');
  byId('wallet-settings').hidden = false;
  const relays = (): void => {
    const rows = client.relays.map((r) =>
      element('li', {}, r === client.primaryRelay ? `${r}, where contacts find you` : r),
    );
    byId('relays').replaceChildren(...(rows.length > 0 ? rows : [element('li', {}, 'no relay reached')]));
  };
  byId('show-settings').addEventListener('click', relays);
  client.on('relay', relays);

  byId<HTMLFormElement>('export').addEventListener('submit', (event) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const password = String(data.get('password'));
    error.textContent = '';
    told.textContent = 'Working …';
    vault.export(password, String(data.get('file')) || password).then(
      (file) => {
        form.reset();
        told.textContent = 'Exported. Keep the file where this browser is not.';
        download(file, `${place.name}.wal`);
      },
      (e: unknown) => {
        told.textContent = '';
        error.textContent = problemText(e);
      },
    );
  });

  byId<HTMLFormElement>('delete').addEventListener('submit', (event) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    if (data.get('name') !== place.name) {
      error.textContent = `Type “${place.name}” to delete it.`;
      return;
    }
    void client
      .stop()
      .then(() => deleteProfile(place))
      .then(() => location.reload());
  });
}

function download(file: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([new Uint8Array(file)], { type: 'application/octet-stream' }));
  const link = element('a', { href: url, download: name });
  link.click();
  // The browser reads it after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
