import type { LiveDetail, LiveRelay } from '../../operator/live/index.js';
import { count, shortAddress } from '../../operator/live/index.js';
import { element, table, vector } from '../common/dom.js';

const centre = 60;
const radius = 46;

function dot(r: LiveRelay): SVGElement {
  const angle = 2 * Math.PI * r.position - Math.PI / 2;
  return vector(
    'circle',
    {
      cx: (centre + radius * Math.cos(angle)).toFixed(2),
      cy: (centre + radius * Math.sin(angle)).toFixed(2),
      r: r.own ? '5' : '2.6',
      class: r.own ? 'own' : r.connected ? 'linked' : 'relay',
    },
    vector('title', {}, `${r.address}${r.own ? ' (this relay)' : ''}`),
  );
}

/** Distance on the ring, 0 … 0.5. */
function distance(a: number, b: number): number {
  const d = Math.abs(a - b);
  return Math.min(d, 1 - d);
}

/** The ring of sectors with this relay's place, and the nearest neighbours as a table. */
export function ringView(detail: LiveDetail): HTMLElement {
  const own = detail.ring.find((r) => r.own);
  const others = detail.ring.filter((r) => !r.own);
  const at = own?.position ?? 0;
  const nearest = [...others].sort((a, b) => distance(a.position, at) - distance(b.position, at)).slice(0, 7);
  const known = `${count(detail.ringTotal)} ${detail.ringTotal === 1 ? 'relay' : 'relays'} known`;
  const drawing = vector(
    'svg',
    {
      viewBox: '0 0 120 120',
      role: 'img',
      'aria-label': `Ring of sectors: ${known}, this relay at ${(360 * at).toFixed(1)} degrees`,
    },
    vector('circle', { cx: `${centre}`, cy: `${centre}`, r: `${radius}`, class: 'line' }),
    ...others.map(dot),
    ...(own === undefined ? [] : [dot(own)]),
    vector('text', { x: `${centre}`, y: '58', 'text-anchor': 'middle' }, known),
    vector('text', { x: `${centre}`, y: '70', 'text-anchor': 'middle' }, `here at ${(360 * at).toFixed(1)}°`),
  );
  return element(
    'div',
    { class: 'ring' },
    drawing,
    table<LiveRelay>(
      'Nearest relays on the ring',
      nearest,
      [
        { head: 'Neighbour', cell: (r) => element('code', { title: r.address }, shortAddress(r.address)) },
        { head: 'Endpoint', cell: (r) => r.endpoint || 'unknown' },
        { head: 'Connected', cell: (r) => (r.connected ? 'yes' : 'no') },
      ],
      'No other relay is known. Neighbours appear once a ledger node or another relay has told of them.',
    ),
  );
}
