import type { ChatMessage, ContactView, StarlingClient } from '../../client/index.js';
import { byId, element, show } from '../common/dom.js';
import { MessageList } from './messages.js';
import { problemText, shortAddress } from './words.js';

/** The SDK tells of arrivals and confirmations; that a text left is seen by looking, this often. */
const lookMs = 1_000;

/**
 * Contacts on one side, the chosen conversation on the other. Everything shown is asked of the client when something
 * happened: the client's storage is the only place where contacts and texts live.
 */
export class Chat {
  readonly #messages = new MessageList(byId('messages'));
  /** Unsent text per contact, so that looking elsewhere loses none. */
  readonly #drafts = new Map<string, string>();
  /** Texts that are being marked as read. */
  readonly #reading = new Set<string>();
  #chosen: string | null = null;
  #waiting = false;
  #soon = false;

  constructor(private readonly client: StarlingClient) {
    const redraw = (): void => this.#drawSoon();
    for (const name of ['message', 'delivered', 'read', 'expired', 'contact', 'contactRequest'] as const)
      client.on(name, redraw);
    client.on('presence', redraw);
    byId('chat').hidden = false;
    byId('back').addEventListener('click', () => this.#leave());
    byId('accept').addEventListener('click', () => void this.#answer(true));
    byId('decline').addEventListener('click', () => void this.#answer(false));
    byId('remove').addEventListener('click', () => void this.#remove());
    const form = byId<HTMLFormElement>('compose');
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#input.addEventListener('keydown', (event) => {
      // Enter sends; with Shift it is a new line. While an input method composes, Enter belongs to it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    document.addEventListener('visibilitychange', redraw);
    setInterval(() => this.#waiting && this.#draw(), lookMs);
    this.#draw();
  }

  get #input(): HTMLTextAreaElement {
    return byId('compose').querySelector('textarea')!;
  }

  /** Shows the conversation with that contact. */
  choose(address: string): void {
    if (this.#chosen !== null) this.#drafts.set(this.#chosen, this.#input.value);
    this.#chosen = address;
    this.#input.value = this.#drafts.get(address) ?? '';
    byId('send-error').textContent = '';
    byId('chat').classList.add('open');
    this.#draw();
    if (!byId('compose').hidden) this.#input.focus();
    else if (!byId('asked').hidden) byId('accept').focus();
  }

  #leave(): void {
    const was = this.#chosen;
    if (was !== null) this.#drafts.set(was, this.#input.value);
    // On a phone nobody sees the conversation any more: what arrives in it now is not read.
    this.#chosen = null;
    byId('chat').classList.remove('open');
    this.#draw();
    if (was !== null)
      byId('contact-list')
        .querySelector<HTMLElement>(`[data-key="${CSS.escape(was)}"]`)
        ?.focus();
  }

  #drawSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    setTimeout(() => {
      this.#soon = false;
      this.#draw();
    });
  }

  #draw(): void {
    const views = this.client.contacts();
    const histories = new Map(views.map((v) => [v.address, this.client.history(v.address)]));
    show(byId('contact-list'), this.#list(views, histories));
    const unread = [...histories.values()].reduce((n, h) => n + unreadOf(h), 0);
    document.title = unread > 0 ? `(${unread}) Starling messenger` : 'Starling messenger';
    this.#drawConversation(
      views.find((v) => v.address === this.#chosen) ?? null,
      histories.get(this.#chosen ?? '') ?? [],
    );
  }

  #list(views: readonly ContactView[], histories: ReadonlyMap<string, readonly ChatMessage[]>): HTMLElement {
    if (views.length === 0)
      return element('p', { class: 'soft' }, 'Nobody yet. Add a contact, or give your address to somebody.');
    const newest = (v: ContactView): number => histories.get(v.address)?.at(-1)?.timestamp ?? v.lastSeen;
    // Who asks comes first, then whoever wrote last.
    const sorted = [...views].sort(
      (a, b) => Number(b.requested) - Number(a.requested) || newest(b) - newest(a),
    );
    return element(
      'ul',
      { class: 'list' },
      ...sorted.map((v) => this.#entry(v, histories.get(v.address) ?? [])),
    );
  }

  #entry(v: ContactView, history: readonly ChatMessage[]): HTMLElement {
    const unread = unreadOf(history);
    const state = v.online ? 'online' : 'offline';
    const last = v.requested
      ? 'wants to be your contact'
      : (history.at(-1)?.text ?? (v.established ? '' : 'asked'));
    const button = element(
      'button',
      {
        type: 'button',
        class: 'contact',
        'data-key': v.address,
        'aria-current': String(v.address === this.#chosen),
      },
      element('span', { class: v.online ? 'dot on' : 'dot', title: state }),
      element(
        'span',
        { class: 'name' },
        nameOf(v),
        element('span', { class: 'visually-hidden' }, `, ${state}`),
      ),
      unread === 0
        ? ''
        : element(
            'span',
            { class: 'unread' },
            String(unread),
            element('span', { class: 'visually-hidden' }, ' unread'),
          ),
      element('span', { class: 'last' }, last),
    );
    button.addEventListener('click', () => this.choose(v.address));
    return element('li', {}, button);
  }

  #drawConversation(v: ContactView | null, history: readonly ChatMessage[]): void {
    byId('with-title').textContent = v === null ? 'No contact chosen' : nameOf(v);
    byId('with-address').textContent = v?.address ?? '';
    const state = v === null ? '' : v.online ? 'online' : 'offline';
    if (byId('with-state').textContent !== state) byId('with-state').textContent = state;
    byId('asked').hidden = v?.requested !== true;
    byId('waiting').hidden = v === null || !v.approved || v.established;
    byId('compose').hidden = v?.approved !== true;
    byId('remove').hidden = v?.approved !== true;
    this.#messages.draw(v?.address ?? '', history);
    this.#waiting = history.some((m) => m.state === 'queued' || m.state === 'sent');
    // Read is what somebody can have seen.
    if (v === null || document.hidden) return;
    for (const m of history) if (m.direction === 'in' && m.state === 'received') this.#read(m);
  }

  /** Tells the sender once, and draws when that is stored: the SDK has no event for what we did ourselves. */
  #read(m: ChatMessage): void {
    if (this.#reading.has(m.id)) return;
    this.#reading.add(m.id);
    void this.client.markRead(m.address, m.id).finally(() => {
      this.#reading.delete(m.id);
      this.#drawSoon();
    });
  }

  async #send(): Promise<void> {
    const address = this.#chosen;
    const text = this.#input.value;
    if (address === null || text.trim() === '') return;
    const error = byId('send-error');
    error.textContent = '';
    try {
      await this.client.send(address, text);
      this.#input.value = '';
      this.#drafts.delete(address);
    } catch (e) {
      error.textContent = problemText(e);
    }
    this.#draw();
    byId('messages').scrollTop = byId('messages').scrollHeight;
  }

  async #answer(yes: boolean): Promise<void> {
    const address = this.#chosen;
    if (address === null) return;
    if (yes) await this.client.accept(address);
    else await this.client.removeContact(address);
    if (!yes) this.#chosen = null;
    this.#draw();
    if (yes) this.#input.focus();
    else this.#leave();
  }

  async #remove(): Promise<void> {
    const address = this.#chosen;
    if (address === null || !confirm('Remove this contact and all its messages?')) return;
    await this.client.removeContact(address);
    this.#chosen = null;
    this.#draw();
    this.#leave();
  }
}

function nameOf(v: ContactView): string {
  return v.nick === null || v.nick === '' ? shortAddress(v.address) : v.nick;
}

function unreadOf(history: readonly ChatMessage[]): number {
  return history.filter((m) => m.direction === 'in' && m.state === 'received').length;
}
