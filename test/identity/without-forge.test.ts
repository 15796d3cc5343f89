import { afterEach, expect, it, vi } from 'vitest';
import { createVerifyEngine, EngineUnavailable } from '../../src/identity/index.js';
import { restrictRuntime } from '../../src/identity/runtime.js';

// What a program meets whose bundle or installation left node-forge out.
vi.mock('node-forge', () => {
  throw new Error('Cannot find package');
});

afterEach(() => {
  restrictRuntime();
  vi.unstubAllGlobals();
});

it('an engine whose module cannot be loaded is missing, as any other that is not there', async () => {
  const made = createVerifyEngine('forge');
  await expect(made).rejects.toBeInstanceOf(EngineUnavailable);
  await expect(made).rejects.toMatchObject({ engine: 'forge', reason: 'missing' });
});

it('auto goes past it, and says that there is none when nothing comes after it', async () => {
  vi.stubGlobal('WebAssembly', undefined);
  restrictRuntime({ node: true, subtle: true });
  const none = createVerifyEngine();
  await expect(none).rejects.toBeInstanceOf(EngineUnavailable);
  await expect(none).rejects.toMatchObject({ engine: 'auto' });
});
