import type { ChatMessage } from '../../client/index.js';
import { element } from '../common/dom.js';
import { markText, timeText } from './words.js';

/** Texts shown at once; older ones are in the history and come with the button. */
const shownStep = 200;

/** The texts of one conversation. Only what changed is touched: a screen reader announces each new text once. */
export class MessageList {
  readonly #rows = new Map<string, HTMLElement>();
  #with = '';
  #shown = shownStep;

  constructor(private readonly place: HTMLElement) {}

  draw(address: string, history: readonly ChatMessage[]): void {
    const { place } = this;
    if (address !== this.#with) {
      this.#with = address;
      this.#shown = shownStep;
      this.#clear();
    }
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 40;
    const visible = history.slice(-this.#shown);
    for (const m of visible) {
      const key = `${m.direction} ${m.id}`;
      const row = this.#rows.get(key);
      if (row !== undefined) this.#mark(row, m);
      else {
        const made = this.#row(m);
        this.#rows.set(key, made);
        place.append(made);
      }
    }
    if (visible.length < history.length && place.querySelector('.older') === null)
      place.prepend(this.#older());
    if (atEnd) place.scrollTop = place.scrollHeight;
  }

  #clear(): void {
    this.#rows.clear();
    this.place.replaceChildren();
  }

  #older(): HTMLElement {
    const button = element('button', { type: 'button' }, 'Show older messages');
    button.addEventListener('click', () => {
      this.#shown += shownStep;
      this.#clear(); // drawn again by the next round, now longer
    });
    return element('div', { class: 'older' }, button);
  }

  #row(m: ChatMessage): HTMLElement {
    const who = element('span', { class: 'visually-hidden' }, m.direction === 'out' ? 'You: ' : 'They: ');
    const row = element(
      'div',
      { class: m.direction === 'out' ? 'message out' : 'message' },
      element('p', {}, who, m.text),
      element('small', {}, timeText(m.timestamp), ' ', element('span', { class: 'mark' })),
    );
    this.#mark(row, m);
    return row;
  }

  #mark(row: HTMLElement, m: ChatMessage): void {
    const mark = row.querySelector('.mark')!;
    const text = m.direction === 'out' ? markText(m) : '';
    if (mark.textContent !== text) mark.textContent = text;
  }
}
