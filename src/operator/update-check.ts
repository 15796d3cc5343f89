import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { EventLog } from './log.js';

/** How often the address is asked, and how long it may take. */
const everyMs = 6 * 3_600_000;
const answerMs = 10_000;
/** A version and a signature of 512 bytes in base64. */
const answerBytesMax = 2_048;
const versionCharsMax = 32;

/** What is known of newer versions. */
export interface UpdateState {
  readonly state: 'off' | 'checking' | 'error' | 'current' | 'available';
  /** The version that was told last, '' before. */
  readonly version: string;
  /** Unix milliseconds of the last check that ended well, 0 before. */
  readonly checkedMs: number;
}

export interface UpdateCheckOptions {
  /** Where `version;signature` is served: the version in ASCII, and its signature in base64. */
  readonly url: string;
  /** PEM file of the RSA public key that signs versions (PKCS#1 v1.5, SHA-512). */
  readonly keyFile: string;
  /** The own version, `0.1.0` or `name-0.1.0`. */
  readonly version: string;
  readonly log: EventLog;
  readonly everyMs?: number;
}

/**
 * Order of two versions by their dotted numbers, then by what follows: a letter is newer than none, and `-rc` is older
 * (docs/protocol/11 §9). Negative when `a` is older.
 */
export function compareVersions(a: string, b: string): number {
  const parts = (v: string): { numbers: number[]; rest: string } => {
    const m = /^(?:[a-z]+-)*(\d+(?:\.\d+)*)(.*)$/i.exec(v.trim());
    return { numbers: (m?.[1] ?? '0').split('.').map(Number), rest: m?.[2] ?? '' };
  };
  const [x, y] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(x.numbers.length, y.numbers.length); i++) {
    const d = (x.numbers[i] ?? 0) - (y.numbers[i] ?? 0);
    if (d !== 0) return d;
  }
  const rank = (rest: string): number => (rest === '' ? 1 : rest.startsWith('-') ? 0 : 2);
  const d = rank(x.rest) - rank(y.rest);
  return d !== 0 ? d : x.rest < y.rest ? -1 : x.rest > y.rest ? 1 : 0;
}

/** The version of an answer whose signature holds. @throws RangeError for anything else */
export function signedVersion(text: string, key: KeyObject): string {
  const m = /^([\x21-\x3a\x3c-\x7e]+);([A-Za-z0-9+/]+={0,2})\s*$/.exec(text);
  if (m === null || m[1]!.length > versionCharsMax) throw new RangeError('not version;signature');
  if (!verify('sha512', Buffer.from(m[1]!, 'ascii'), key, Buffer.from(m[2]!, 'base64')))
    throw new RangeError('the signature does not hold');
  return m[1]!;
}

/** Asks now and then whether a newer version is out, and tells; it never installs anything. */
export class UpdateCheck {
  #state: UpdateState = { state: 'checking', version: '', checkedMs: 0 };
  #timer: NodeJS.Timeout | null = null;
  readonly #ended = new AbortController();

  private constructor(
    private readonly o: UpdateCheckOptions,
    private readonly key: KeyObject,
  ) {}

  /** Reads the key and asks at once. @throws for a file that holds no RSA public key */
  static async start(o: UpdateCheckOptions): Promise<UpdateCheck> {
    const key = createPublicKey(await readFile(o.keyFile));
    if (key.asymmetricKeyType !== 'rsa') throw new RangeError(`${o.keyFile} holds no RSA key`);
    const check = new UpdateCheck(o, key);
    void check.look();
    check.#timer = setInterval(() => void check.look(), o.everyMs ?? everyMs);
    check.#timer.unref();
    return check;
  }

  get state(): UpdateState {
    return this.#state;
  }

  /** One check. A failure is logged and keeps what was known. */
  async look(): Promise<void> {
    const { url, version: own, log } = this.o;
    try {
      const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(answerMs)]);
      const answer = await fetch(url, { signal, redirect: 'error' });
      if (!answer.ok || answer.body === null) throw new RangeError(`status ${answer.status}`);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
        bytes += chunk.length;
        if (bytes > answerBytesMax) throw new RangeError(`more than ${answerBytesMax} bytes`);
        chunks.push(chunk);
      }
      const version = signedVersion(Buffer.concat(chunks).toString('latin1'), this.key);
      const state = compareVersions(version, own) > 0 ? 'available' : 'current';
      if (state === 'available' && version !== this.#state.version)
        log.log('info', 'update_available', { version, own });
      this.#state = { state, version, checkedMs: Date.now() };
    } catch (e) {
      if (this.#ended.signal.aborted) return;
      this.#state = { ...this.#state, state: 'error' };
      log.log('warn', 'update_check_failed', { url, error: (e as Error).message });
    }
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#ended.abort();
  }
}
