import type { StarlingClient } from '../../client/index.js';
import { byId } from '../common/dom.js';
import { addressIn, codeInCamera, codeInPicture, codeView } from './code.js';
import { problemText } from './words.js';

/** The dialog with one's own address, as text and as code. */
export function setUpOwn(client: StarlingClient): void {
  const dialog = byId<HTMLDialogElement>('own');
  const opener = byId('show-own');
  byId('own-address').textContent = client.address;
  byId('own-code').replaceChildren(codeView(client.address, 'Your address as a QR code'));
  opener.hidden = false;
  opener.addEventListener('click', () => {
    byId('own-told').textContent = '';
    dialog.showModal();
  });
  byId('own-copy').addEventListener('click', () => {
    navigator.clipboard.writeText(client.address).then(
      () => {
        byId('own-told').textContent = 'Copied.';
      },
      () => {
        byId('own-told').textContent = 'The browser does not allow it: select the text instead.';
      },
    );
  });
}

/** The dialog that asks an address to become a contact: typed, from a picture, or from the camera. */
export function setUpAdd(client: StarlingClient, added: (address: string) => void): void {
  const dialog = byId<HTMLDialogElement>('add');
  const form = byId<HTMLFormElement>('add-form');
  const input = form.querySelector('textarea')!;
  const error = byId('add-error');
  const opener = byId('show-add');
  let camera: AbortController | null = null;
  opener.hidden = false;
  opener.addEventListener('click', () => {
    form.reset();
    error.textContent = '';
    dialog.showModal();
    input.focus();
  });
  byId('add-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => camera?.abort());

  const found = (text: string | null): void => {
    const address = text === null ? null : addressIn(text);
    if (address === null) error.textContent = 'No address found in it.';
    else {
      error.textContent = '';
      input.value = address;
      input.focus();
    }
  };
  const picture = byId<HTMLInputElement>('picture');
  picture.addEventListener('change', () => {
    const file = picture.files?.[0];
    picture.value = '';
    if (file !== undefined) void codeInPicture(file).then(found);
  });
  byId('scan').hidden = navigator.mediaDevices === undefined;
  byId('scan').addEventListener('click', () => {
    camera?.abort();
    camera = new AbortController();
    const { signal } = camera;
    codeInCamera(byId<HTMLVideoElement>('camera'), signal).then(
      (text) => {
        if (!signal.aborted) found(text);
      },
      () => {
        error.textContent = 'There is no camera, or the browser does not allow it.';
      },
    );
  });

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    // Pasted addresses come with blanks and line breaks.
    const address = input.value.replace(/\s+/g, '');
    error.textContent = '';
    client.addContact(address).then(
      () => {
        dialog.close();
        added(address);
      },
      (e: unknown) => {
        error.textContent = problemText(e);
      },
    );
  });
}
