import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLog, LogFile, levelsFrom } from '../../src/operator/index.js';

let dir: string;
let now = 0;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'starling-log-'));
  now = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const at = (name: string): string => join(dir, name);
const file = (over: Partial<ConstructorParameters<typeof LogFile>[0]> = {}): LogFile =>
  new LogFile({ path: at('ixian.log'), bytesMax: 20, countMax: 3, nowMs: () => now, ...over });

describe('the log as a file', () => {
  it('is the owner’s alone, also in a folder that is not there yet', () => {
    const f = file({ path: at('logs/ixian.log') });
    f.write('one\n');
    expect(statSync(at('logs/ixian.log')).mode & 0o777).toBe(0o600);
    expect(statSync(at('logs')).mode & 0o777).toBe(0o700);
    f.close();
  });

  it('is put aside when it is full, so many are kept, counted by number', () => {
    const f = file({ countMax: 12 });
    for (let i = 0; i < 15; i++) f.write(`line ${String(i).padStart(2, '0')} of many\n`);
    f.close();
    const names = readdirSync(dir).sort();
    expect(names.length).toBe(13);
    expect(readFileSync(at('ixian.log'), 'utf8')).toContain('line 14');
    expect(readFileSync(at('ixian.0.log'), 'utf8')).toContain('line 13');
    // The reference sorts by text and loses its order after ten.
    expect(readFileSync(at('ixian.10.log'), 'utf8')).toContain('line 03');
    expect(readFileSync(at('ixian.11.log'), 'utf8')).toContain('line 02');
  });

  it('a lower count removes what was kept before, and nothing else', () => {
    writeFileSync(at('ixian.7.log'), 'old');
    writeFileSync(at('ixian.notes.log'), 'not ours');
    const f = file({ countMax: 2 });
    for (const l of ['a', 'b', 'c', 'd']) f.write(`${l.repeat(19)}\n`);
    f.close();
    expect(readdirSync(dir).sort()).toEqual(['ixian.0.log', 'ixian.1.log', 'ixian.log', 'ixian.notes.log']);
  });

  it('is opened anew when asked, and when somebody moved it away', () => {
    const f = file({ bytesMax: 1000 });
    f.write('one\n');
    renameSync(at('ixian.log'), at('moved'));
    f.write('two\n');
    f.reopen();
    f.write('three\n');
    expect(readFileSync(at('moved'), 'utf8')).toBe('one\ntwo\n');
    renameSync(at('ixian.log'), at('again'));
    now += 2_000;
    f.write('four\n');
    expect(readFileSync(at('ixian.log'), 'utf8')).toBe('four\n');
    f.close();
  });

  it('several write to it, one puts it aside, the others follow', () => {
    const first = file({ bytesMax: 30 });
    const other = file({ bytesMax: 30, rotates: false });
    for (let i = 0; i < 4; i++) {
      other.write('from the other\n');
      now += 1_001;
      first.write('from the first\n');
      now += 1_001;
    }
    first.close();
    other.close();
    const all = readdirSync(dir)
      .map((n) => readFileSync(at(n), 'utf8'))
      .join('');
    expect(all.match(/\n/g)?.length).toBe(8);
    expect(readdirSync(dir).length).toBeGreaterThan(1);
  });

  it('a file that cannot be written costs lines, is told once, and is tried again', () => {
    const told: string[] = [];
    writeFileSync(at('blocked'), '');
    const f = file({ path: at('blocked/ixian.log'), onTrouble: (e) => told.push(e.message) });
    f.write('lost\n');
    f.write('lost too\n');
    expect(told.length).toBe(1);
    rmSync(at('blocked'));
    now += 2_000;
    f.write('kept\n');
    expect(readFileSync(at('blocked/ixian.log'), 'utf8')).toBe('kept\n');
    f.close();
    chmodSync(at('blocked'), 0o700);
  });
});

it('legacy lines have the reference’s form (11 §8)', () => {
  const lines: string[] = [];
  const log = new EventLog({ format: 'legacy', levels: levelsFrom('trace'), write: (l) => lines.push(l) });
  log.log('info', 'started', { port: 10235 });
  log.log('debug', 'peer_opened', { peer: '203.0.113.7:5' });
  expect(lines[0]).toMatch(/^\d\d-\d\d \d\d:\d\d:\d\d\.\d{4}\|info\|1: started port=10235\n$/);
  // The reference knows four severities.
  expect(lines[1]).toMatch(/\|trace\|1: peer_opened peer=203\.0\.x\.x\n$/);
});
