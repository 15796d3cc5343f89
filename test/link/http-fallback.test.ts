import { describe, expect, it, vi } from 'vitest';

vi.mock('uWebSockets.js', () => {
  throw new Error('This version of uWS.js supports only Node.js versions 18, 20, 21 and 22');
});

const { createHttpServer } = await import('../../src/link/node/index.js');

describe('where uWebSockets.js has no binary', () => {
  it('falls back to node:http with one clear warning', async () => {
    const warnings: string[] = [];
    const warn = (text: string): void => {
      warnings.push(text);
    };
    const first = await createHttpServer({ warn });
    const second = await createHttpServer({ prefer: 'auto', warn });
    expect([first.engine, second.engine]).toEqual(['node', 'node']);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('node:http');
    expect(warnings[0]).toContain(process.versions.node);
    await first.close();
    await second.close();
  });

  it('says so when it was asked for by name', async () => {
    await expect(createHttpServer({ prefer: 'uws' })).rejects.toThrow();
  });

  it('is not even loaded when node is asked for', async () => {
    const server = await createHttpServer({ prefer: 'node' });
    expect(server.engine).toBe('node');
    await server.close();
  });
});
