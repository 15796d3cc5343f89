import { describe, expect, it } from 'vitest';
import {
  aggregateDifference,
  squashDifference,
  timeDifferenceSeconds,
  timeSamplesMs,
} from '../../src/link/index.js';

describe('03 §2.4 connection time difference', () => {
  it('the first sample is local minus remote, the others take the time since the previous one off', () => {
    const samples = timeSamplesMs([
      { at: 10_000, sent: 4_000 },
      { at: 10_050, sent: 4_000 },
      { at: 10_090, sent: 3_990 },
    ]);
    expect(samples).toEqual([6_000, 6_000, 6_060]);
    expect(timeDifferenceSeconds(samples)).toBe(6);
  });
});

describe('03 §5.3 network clock', () => {
  it.each([
    [-3, -3],
    [-2, 0],
    [0, 0],
    [2, 0],
    [3, 3],
  ])('a difference of %d s counts as %d', (from, to) => {
    expect(squashDifference(from)).toBe(to);
  });

  it('takes the middle third, averaged and cut towards zero', () => {
    expect(aggregateDifference([9, -100, 5], 'R')).toEqual({ seconds: 5, unclampedSeconds: 5 });
    expect(aggregateDifference([0, 0, -3, -4, 100, 100], 'R')).toEqual({ seconds: 0, unclampedSeconds: 0 });
    expect(aggregateDifference([-9, -8, -4, -3, 100, 100], 'C')).toEqual({
      seconds: -3,
      unclampedSeconds: -3,
    });
  });

  it('changes nothing with fewer than three values', () => {
    expect(aggregateDifference([7, 7], 'R')).toBe(null);
    expect(aggregateDifference([], 'R')).toBe(null);
  });

  it('needs three outbound connections for M and H, one for others', () => {
    expect(aggregateDifference([7, 7, 7], 'M', 2)).toBe(null);
    expect(aggregateDifference([7, 7, 7], 'H', 3)).not.toBe(null);
    expect(aggregateDifference([7, 7, 7], 'R', 1)).not.toBe(null);
  });

  it.each(['M', 'H', 'R', 'C'])('strict: clamps to 30 s for type %s, whatever three liars say', (type) => {
    expect(aggregateDifference([9_999, 9_999, 9_999], type)).toEqual({
      seconds: 30,
      unclampedSeconds: 9_999,
    });
    expect(aggregateDifference([-60, -60, -60], type)).toEqual({ seconds: -30, unclampedSeconds: -60 });
  });
});
