import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { sectorAsksBurst, sectorPrefixesMax } from '../../src/relay/limits.js';
import { SectorQuestions } from '../../src/relay/sector-questions.js';
import { FakePeer } from './fakes.js';

const prefixOf = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255, 0, 0, 0, 0, 0, 0, 0, 0);
const P = prefixOf(1);

let clock: ManualClock;
let asks: [number, number][];
let answers: [number, number, number][];
let reachable: number;
let questions: SectorQuestions;
const num = (p: Uint8Array): number => p[0]! * 256 + p[1]!;

beforeEach(() => {
  clock = new ManualClock(1_000_000);
  asks = [];
  answers = [];
  reachable = 2;
  questions = new SectorQuestions({
    clock,
    askLedger: (prefix, max) => {
      if (reachable > 0) asks.push([num(prefix), max]);
      return reachable;
    },
    answer: (peer, prefix, max) => void answers.push([peer.id, num(prefix), max]),
  });
});

describe('06 §6.2 strict answer rule', () => {
  it('an uncertain relay waits for the ledger’s answer, each asker gets his own maximum', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    questions.ask(a, P, 6, false);
    questions.ask(b, P, 3, false);
    expect([answers, asks]).toEqual([[], [[1, 8]]]);
    questions.answered(P);
    expect(answers).toEqual([
      [a.id, 1, 6],
      [b.id, 1, 3],
    ]);
    clock.advance(10_000);
    expect(answers.length).toBe(2);
  });

  it('always an answer, after 3 s at the latest', () => {
    const [a, b] = [new FakePeer(), new FakePeer()];
    questions.ask(a, P, 6, false);
    clock.advance(2_000);
    questions.ask(b, P, 2, false);
    clock.advance(999);
    expect(answers).toEqual([]);
    clock.advance(1);
    expect(answers.map((x) => x[0])).toEqual([a.id, b.id]);
    questions.answered(P);
    expect(answers.length).toBe(2);
  });

  it('at once when there is no ledger node to ask', () => {
    reachable = 0;
    const a = new FakePeer();
    questions.ask(a, P, 6, false);
    expect(answers).toEqual([[a.id, 1, 6]]);
    expect(questions.expects(P)).toBe(false);
  });

  it('at once from a trusted tree, with a refresh in the background', () => {
    const a = new FakePeer();
    questions.ask(a, P, 12, true);
    expect([answers, asks]).toEqual([[[a.id, 1, 12]], [[1, 12]]]);
    expect(questions.waiting).toBe(0);
  });

  it('at once within 30 s of the ledger’s answer, without another question', () => {
    const a = new FakePeer();
    questions.ask(a, P, 6, false);
    questions.answered(P);
    clock.advance(29_999);
    questions.ask(a, P, 4, false);
    expect([answers.length, asks.length]).toEqual([2, 1]);
    clock.advance(1);
    questions.ask(a, P, 4, false);
    expect([answers.length, asks.length]).toEqual([2, 2]);
  });

  it('one question per prefix is open at a time', () => {
    questions.ask(new FakePeer(), P, 6, true);
    questions.ask(new FakePeer(), P, 6, true);
    clock.advance(2_999);
    questions.ask(new FakePeer(), P, 6, true);
    expect(asks.length).toBe(1);
    clock.advance(1);
    questions.ask(new FakePeer(), P, 6, true);
    expect(asks.length).toBe(2);
  });

  it('who has left meanwhile gets nothing', () => {
    const a = new FakePeer();
    questions.ask(a, P, 6, false);
    a.isOpen = false;
    questions.answered(P);
    expect(answers).toEqual([]);
  });
});

describe('06 §6.2 strict: what counts as an answer', () => {
  it('only for a prefix asked for within 30 s', () => {
    expect(questions.expects(P)).toBe(false);
    questions.refresh(P, 8);
    expect([questions.expects(P), questions.expects(prefixOf(2))]).toEqual([true, false]);
    clock.advance(29_999);
    expect(questions.expects(P)).toBe(true);
    clock.advance(1);
    expect(questions.expects(P)).toBe(false);
  });
});

describe('06 §6.2 strict: bounds', () => {
  it('the ledger is asked so often and no more; askers are answered from the own tree', () => {
    const a = new FakePeer();
    for (let i = 0; i < sectorAsksBurst + 10; i++) questions.ask(a, prefixOf(i), 6, false);
    expect([asks.length, answers.length, questions.waiting]).toEqual([sectorAsksBurst, 10, sectorAsksBurst]);
    clock.advance(50);
    questions.ask(a, prefixOf(5_000), 6, false);
    expect(asks.length).toBe(sectorAsksBurst + 1);
  });

  it('remembers a bounded number of prefixes, the oldest is asked again', () => {
    const a = new FakePeer();
    for (let i = 0; i <= sectorPrefixesMax; i++) questions.answered(prefixOf(i));
    questions.ask(a, prefixOf(sectorPrefixesMax), 6, false);
    questions.ask(a, prefixOf(1), 6, false);
    expect([answers.length, asks.length]).toEqual([2, 0]);
    questions.ask(a, prefixOf(0), 6, false);
    expect([answers.length, asks.length]).toEqual([2, 1]);
  });

  it('closing ends every timer', () => {
    questions.ask(new FakePeer(), P, 6, false);
    questions.close();
    clock.advance(10_000);
    expect(answers).toEqual([]);
  });
});
