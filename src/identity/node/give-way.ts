import { readlinkSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';

/** Above the process's own: a core that both want goes to the thread that talks to peers. */
const niceness = 5;
/** Looks into libuv's pool before one gives up to find all of its threads; each look costs some 50 µs. */
const looksMax = 64;

/** Absolute, so that being told twice changes nothing. */
function makeNice(thread: number): void {
  if (thread !== process.pid) setPriority(thread, Math.min(19, getPriority(process.pid) + niceness));
}

const idOf = (link: string): number => Number(link.split('/').at(-1));

/** Lets this thread give way. Linux schedules threads, each with a niceness; elsewhere, or where forbidden, nothing changes. */
export function threadGivesWay(): void {
  try {
    makeNice(idOf(readlinkSync('/proc/thread-self')));
  } catch {
    // The work is done all the same.
  }
}

/** Threads of libuv's pool: its default, or what the operator set. */
export function poolThreads(): number {
  const n = Number(process.env.UV_THREADPOOL_SIZE ?? 4);
  return Number.isInteger(n) && n > 0 ? n : 4;
}

/**
 * Lets the threads of libuv's pool give way, which sign: who is connected comes before who wants to be. Resolves to the
 * threads found, none where the system has no niceness for threads.
 */
export async function poolGivesWay(): Promise<number> {
  const threads = poolThreads();
  const found = new Set<number>();
  try {
    // The thread that looks is the pool's; those that waited longest are taken first.
    for (let i = 0; i < looksMax && found.size < threads; i++) {
      const thread = idOf(await readlink('/proc/thread-self'));
      if (found.has(thread)) continue;
      found.add(thread);
      makeNice(thread);
    }
  } catch {
    // As above.
  }
  return found.size;
}
