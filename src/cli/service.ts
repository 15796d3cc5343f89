import { toHex } from '../wire/index.js';

/** One event for a script: a JSON line on standard output; bytes as hexadecimal, big integers as text. */
export function jsonLine(event: Readonly<Record<string, unknown>>): void {
  const text = JSON.stringify(event, (_key, value: unknown) =>
    value instanceof Uint8Array ? toHex(value) : typeof value === 'bigint' ? value.toString() : value,
  );
  process.stdout.write(`${text}\n`);
}

/**
 * Resolves with the name of the first SIGINT or SIGTERM. A second one ends the process at once, for people who
 * do not want to wait. Once `release` is aborted it keeps the process alive no longer.
 */
export function untilSignal(release?: AbortSignal): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    // The timers of a service do not keep the process alive by themselves.
    const alive = setInterval(() => undefined, 1 << 30);
    release?.addEventListener('abort', () => clearInterval(alive));
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.on(name, () => {
        if (asked) process.exit(130);
        asked = true;
        clearInterval(alive);
        resolve(name);
      });
  });
}
