// Holds the one-way dependencies between the rooms of src/ (ARCHITECTURE.md): a room imports only from rooms above it,
// only through façades, and only some places may know Node or a package at all. Exit 1 with a list of breaches.
//
//   node scripts/check-rooms.mjs [ROOT]

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Top to bottom; rooms of one entry never import each other. */
const ORDER = [
  ['core'],
  ['wire'],
  ['clock'],
  ['identity'],
  ['counters'],
  ['presence'],
  ['sectors'],
  ['messages'],
  ['ledger'],
  ['link'],
  ['cluster'],
  ['relay', 'coordinator', 'client', 'load'],
  ['operator'],
  ['pages'],
  ['cli'],
];

/** Rooms that stand alone, so that everything may use them. */
const ALONE = new Set(['core', 'clock', 'counters']);

/** Façades besides `<room>/index.js`: what a room offers to one kind of runtime only. */
const SUB_FACADES = new Set([
  'core/node',
  'identity/node',
  'presence/node',
  'ledger/node',
  'link/node',
  'client/node',
  'client/web',
  'operator/live',
]);

/** Where Node's own modules, Buffer, process and the servers may be used; everything else runs in browsers. */
const NODE_PLACES = [
  'core/node/',
  'identity/node/',
  'presence/node/',
  'ledger/node/',
  'link/node/',
  'client/node/',
  'cluster/',
  'relay/',
  'coordinator/',
  'load/',
  'operator/',
  'cli/',
];

/** Packages that are for Node alone. */
const NODE_PACKAGES = new Set(['ws', 'uWebSockets.js', 'pino']);

const levelOf = new Map(ORDER.flatMap((rooms, level) => rooms.map((room) => [room, level])));

function tsFiles(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const path = join(dir, e.name);
    if (e.isDirectory()) return tsFiles(path);
    return e.name.endsWith('.ts') ? [path] : [];
  });
}

/** Source with comments and the text of strings blanked, line numbers kept. */
function codeOnly(text) {
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g,
    (m) => m.replace(/[^\n]/g, ' '),
  );
}

/** Every module a file names: static, type-only, re-exported and dynamic. */
function importsOf(text) {
  const found = [];
  const pattern =
    /(\bimport\s+type\b[^;'"]*?\bfrom\s*|\bexport\s+type\b[^;'"]*?\bfrom\s*|\btypeof\s+import\s*\(|\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])([\w@./:#-]+)\2/g;
  // Comments are blanked but strings kept: specifiers are strings.
  const bare = text.replace(/\/\*[\s\S]*?\*\/|(^|[^:'"])\/\/[^\n]*/g, (m) => m.replace(/[^\n]/g, ' '));
  for (const m of bare.matchAll(pattern))
    found.push({
      specifier: m[3],
      typeOnly: /^(import\s+type|export\s+type|typeof)\b/.test(m[1]),
      line: bare.slice(0, m.index + m[1].length).split('\n').length,
    });
  return found;
}

/** Checks one file. `name` is its path below src, with slashes. */
function breachesOf(name, text, packages) {
  const out = [];
  const room = name.split('/')[0];
  const breach = (line, why) => out.push(`src/${name}:${line}: ${why}`);
  if (!levelOf.has(room)) {
    breach(1, `${room} is not a room`);
    return out;
  }
  const onNode = NODE_PLACES.some((p) => name.startsWith(p));
  for (const { specifier, typeOnly, line } of importsOf(text)) {
    if (!specifier.startsWith('.')) {
      const isBuiltin = specifier.startsWith('node:');
      const parts = specifier.split('/');
      const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
      // Types of Node are gone once compiled: a guarded road through globalThis.process may be typed with them.
      if ((isBuiltin || NODE_PACKAGES.has(name)) && !onNode && !(isBuiltin && typeOnly))
        breach(line, `${specifier} may not be imported here: this room runs in browsers too`);
      if (!isBuiltin && !packages.has(name) && !(room === 'pages' && BUNDLED.has(name)))
        breach(line, `${name} is not a dependency of the package`);
      if (ALONE.has(room) && !(isBuiltin && onNode))
        breach(line, `${room} imports nothing, not even ${specifier}`);
      continue;
    }
    const target = join(dirname(name), specifier).replaceAll('\\', '/');
    if (target.startsWith('..')) {
      breach(line, `${specifier} leaves src`);
      continue;
    }
    const [other] = target.split('/');
    if (!levelOf.has(other)) {
      breach(line, `${other} is not a room`);
      continue;
    }
    if (other === room) {
      // Within a room: the part for Node may use the portable part, never the other way round.
      const inner = [...SUB_FACADES].find((s) => target.startsWith(`${s}/`));
      if (inner !== undefined && !name.startsWith(`${inner}/`) && !onNode)
        breach(line, `the portable part of ${room} imports ${inner}`);
      continue;
    }
    if (ALONE.has(room)) breach(line, `${room} imports nothing, not even ${other}`);
    else if (levelOf.get(other) === levelOf.get(room))
      breach(line, `${room} and ${other} may not know each other`);
    else if (levelOf.get(other) > levelOf.get(room))
      breach(line, `${room} may not import ${other}, which stands below it`);
    const folder = dirname(target);
    const facade = target.endsWith('/index.js') && (folder === other || SUB_FACADES.has(folder));
    if (!facade) breach(line, `${target} is not a façade: import ${other}/index.js`);
    else if (SUB_FACADES.has(folder) && folder.endsWith('/node') && !onNode)
      breach(line, `${folder} is for Node, this room runs in browsers too`);
  }
  if (!onNode) {
    codeOnly(text)
      .split('\n')
      .forEach((code, i) => {
        const m = /(?<![.\w])(Buffer|process|require|__dirname)\s*[.([]/.exec(code);
        if (m !== null) breach(i + 1, `${m[1]} does not exist in browsers`);
      });
  }
  return out;
}

const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** Bundled into the pages at build time, so a user of the package needs none of them. */
const BUNDLED = new Set(['jsqr', 'uplot', 'uqr']);
const packages = new Set([
  ...Object.keys(manifest.dependencies ?? {}),
  ...Object.keys(manifest.optionalDependencies ?? {}),
]);
const src = join(root, 'src');
const files = tsFiles(src);
const breaches = files.flatMap((path) =>
  breachesOf(relative(src, path).replaceAll('\\', '/'), readFileSync(path, 'utf8'), packages),
);
for (const b of breaches) console.error(b);
console.log(
  breaches.length === 0
    ? `rooms: ${files.length} files keep the order`
    : `rooms: ${breaches.length} breaches in ${files.length} files`,
);
process.exitCode = breaches.length === 0 ? 0 : 1;
