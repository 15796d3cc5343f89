// Holds the one-way dependencies between rooms (ARCHITECTURE.md): a room imports only from rooms above it,
// through their façades, and Node's own modules appear only where a room may know Node.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
const src = join(root, 'src');

/** From top to bottom. A room may import only from rooms that stand before it. */
const ORDER = [
  'core',
  'wire',
  'clock',
  'identity',
  'counters',
  'presence',
  'sectors',
  'messages',
  'ledger',
  'link',
  'cluster',
  'relay',
  'coordinator',
  'client',
  'operator',
  'cli',
];
/** Rooms side by side: none of them imports another. */
const APART = ['relay', 'coordinator', 'client'];
/** Rooms that import nothing at all. */
const ALONE = ['clock', 'counters'];
/** Rooms, or their `node/` parts, that may use Node's modules and packages for Node. */
const NODE_ROOMS = ['cluster', 'relay', 'coordinator', 'operator', 'cli'];
const NODE_PACKAGES = ['ws', 'uWebSockets.js', 'pino'];
/** `starling-core` is published without a dependency. */
const NO_PACKAGES = ['core'];

function* sources(dir) {
  for (const e of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, e.name);
    if (e.isDirectory()) yield* sources(path);
    else if (/\.(m?ts)$/.test(e.name)) yield path;
  }
}

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])([^'"]+)\1/g;

function breaches(file) {
  const out = [];
  const where = relative(src, file).split(sep);
  const room = where[0];
  const text = readFileSync(file, 'utf8')
    .replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    // Types of Node's modules cost nothing at run time.
    .replace(
      /\btypeof import\(\s*['"]node:[^'"]+['"]\s*\)|\bimport type [^;]*?from\s*['"]node:[^'"]+['"]/g,
      '',
    );
  const mayUseNode = NODE_ROOMS.includes(room) || where[1] === 'node';
  if (!ORDER.includes(room)) return [`${relative(root, file)}: ${room} is not a room`];
  for (const [, , spec] of text.matchAll(IMPORT)) {
    const say = (why) => out.push(`${relative(root, file)}: imports ${spec}: ${why}`);
    if (!spec.startsWith('.')) {
      const name = spec.startsWith('@') ? spec.split('/').slice(0, 2).join('/') : spec.split('/')[0];
      if (spec.startsWith('node:') || NODE_PACKAGES.includes(name)) {
        if (!mayUseNode) say('this room must also run where there is no Node');
      } else if (NO_PACKAGES.includes(room)) say('this room is published without dependencies');
      continue;
    }
    const target = relative(src, resolve(dirname(file), spec)).split(sep);
    if (target[0] === '..') {
      say('outside src/');
      continue;
    }
    const other = target[0];
    if (other === room) {
      if (target[1] === 'node' && where[1] !== 'node' && !NODE_ROOMS.includes(room))
        say('the portable part of a room must not import its Node part');
      continue;
    }
    if (ALONE.includes(room)) say('this room imports nothing');
    else if (!ORDER.includes(other)) say(`${other} is not a room`);
    else if (ORDER.indexOf(other) > ORDER.indexOf(room)) say(`${other} stands below ${room}`);
    else if (APART.includes(room) && APART.includes(other)) say(`${room} and ${other} stand side by side`);
    const inner = target.slice(1).join('/');
    if (!['index.js', 'node/index.js', 'web/index.js'].includes(inner))
      say(`through the façade only: ../${other}/index.js`);
    if (target[1] === 'node' && !mayUseNode) say('this room must also run where there is no Node');
  }
  return out;
}

if (!existsSync(src)) {
  process.stderr.write(`no src/ in ${root}\n`);
  process.exit(2);
}
const found = [...sources(src)].flatMap(breaches);
for (const line of found) process.stderr.write(`${line}\n`);
process.stdout.write(
  found.length === 0
    ? `rooms: ${ORDER.length} rooms, every import goes one way\n`
    : `rooms: ${found.length} imports break the order\n`,
);
process.exit(found.length === 0 ? 0 : 1);
