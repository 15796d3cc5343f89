/** Small helpers over the document. Text always goes in as text: nothing a peer named is ever read as HTML. */

type Child = Node | string;

/** The element with that id. @throws Error when the page lacks it */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element ${id}`);
  return found as T;
}

/** A new element with attributes and children. */
export function element(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElement {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** The same in SVG. */
export function vector(
  tag: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** One column of a table: its heading, and the cell of a row. */
export interface Column<R> {
  readonly head: string;
  readonly number?: boolean;
  cell(row: R): Child;
}

/** A table that scrolls inside its place and can be scrolled by keyboard; a sentence when it has no rows. */
export function table<R>(
  label: string,
  rows: readonly R[],
  columns: readonly Column<R>[],
  nothing: string,
): HTMLElement {
  if (rows.length === 0) return element('p', { class: 'empty' }, nothing);
  const kind = (c: Column<R>): Record<string, string> => (c.number === true ? { class: 'number' } : {});
  const head = element('tr', {}, ...columns.map((c) => element('th', { scope: 'col', ...kind(c) }, c.head)));
  const body = rows.map((r) => element('tr', {}, ...columns.map((c) => element('td', kind(c), c.cell(r)))));
  return element(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label },
    element('table', {}, element('thead', {}, head), element('tbody', {}, ...body)),
  );
}

/** Puts new content in place unless it says the same: focus and selection of a reader stay where they are. */
export function show(place: HTMLElement, content: HTMLElement): void {
  const before = place.firstElementChild;
  if (before !== null && before.outerHTML === content.outerHTML) return;
  const scrolled = before?.scrollTop ?? 0;
  const focused = place.contains(document.activeElement)
    ? document.activeElement?.getAttribute('data-key')
    : null;
  const inFocus = before !== null && before === document.activeElement;
  place.replaceChildren(content);
  content.scrollTop = scrolled;
  if (inFocus) content.focus();
  else if (focused !== null && focused !== undefined)
    place.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
