import { describe, expect, it } from 'vitest';
import { refusedMs, retryMsMax, retryMsMin, retryWaitMs } from '../../src/client/retry.js';
import { Bye } from '../../src/wire/index.js';

const bye = (byeCode: number, data = '') => ({ why: 'bye-received', byeCode, data }) as const;
const [low, high] = [() => 0, () => 1];

describe('when a relay is dialled again', () => {
  it('after failures the wait doubles up to a minute, half to one and a half times of it', () => {
    for (const [failures, ms] of [
      [0, retryMsMin],
      [1, 2 * retryMsMin],
      [4, 16 * retryMsMin],
      [7, retryMsMax],
      [400, retryMsMax],
    ] as const) {
      expect(retryWaitMs(failures, null, low)).toBe(ms * 0.5);
      expect(retryWaitMs(failures, { why: 'remote-end', byeCode: null, data: '' }, high)).toBe(ms * 1.5);
    }
  });

  it('a busy relay is taken at its word, never sooner, whatever failed before', () => {
    for (const failures of [0, 9]) {
      expect(retryWaitMs(failures, bye(Bye.notReady, '8000'), low)).toBe(8_000);
      expect(retryWaitMs(failures, bye(Bye.notReady, '8000'), high)).toBeCloseTo(8_800, 6);
      expect(retryWaitMs(failures, bye(Bye.notReady, '1'), low)).toBe(retryMsMin);
      expect(retryWaitMs(failures, bye(Bye.notReady, '999999'), low)).toBe(retryMsMax);
    }
  });

  it('a busy relay that says nothing more is like a failed one', () => {
    expect(retryWaitMs(1, bye(Bye.notReady), low)).toBe(retryMsMin);
    expect(retryWaitMs(1, bye(Bye.notReady, 'soon'), low)).toBe(retryMsMin);
  });

  it('a relay that refuses us is left alone', () => {
    expect(retryWaitMs(0, bye(Bye.rejected), low)).toBe(refusedMs * 0.5);
    expect(retryWaitMs(0, bye(Bye.bye), low)).toBe(retryMsMin * 0.5);
  });
});
