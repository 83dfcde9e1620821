/** The same line over and over. */
import { expect } from 'chai';
import type { LogRecord } from '../../src/log.ts';
import { Repeats } from '../../src/repeats.ts';
import { until } from '../support/rabbitmq.ts';

describe('A line that comes over and over', () => {
  let written: string[];
  const say = (repeats: Repeats, msg: string, level = 'info'): void => {
    const record: LogRecord = { level, time: '', msg };
    if (repeats.admit(record)) written.push(msg);
  };
  const counting = (windowMs: number): Repeats =>
    new Repeats(({ msg }) => written.push(String(msg)), windowMs);
  beforeEach(() => {
    written = [];
  });

  it('is written ten times, then counted, whatever numbers and names are in it', async () => {
    const repeats = counting(50);
    for (let i = 0; i < 422; i++) say(repeats, `Login refused: user '${i}' of port ${i}`);
    expect(written).to.have.length(10);
    await until('the count', () => written.length === 11);
    expect(written[10]).to.equal("… 412 more of these in 0.05 s: Login refused: user '0' of port 0");
    repeats.flush();
  });

  it('is only counted while it goes on, and written again when it had stopped', async () => {
    const repeats = counting(30);
    const go = setInterval(() => say(repeats, 'again'), 1);
    await until('three counts', () => written.filter(line => line.startsWith('…')).length === 3);
    clearInterval(go);
    expect(written.filter(line => line === 'again')).to.have.length(10);
    let n = written.length;
    await until('nothing more', async () => {
      const before = n;
      await new Promise(resolve => setTimeout(resolve, 100));
      n = written.length;
      return n === before;
    });
    say(repeats, 'again');
    expect(written.at(-1)).to.equal('again');
    repeats.flush();
  });

  it('does not hold up others, nor the same of another level', () => {
    const repeats = counting(1000);
    for (let i = 0; i < 20; i++) say(repeats, 'one');
    say(repeats, 'two');
    say(repeats, 'one', 'warn');
    expect(written.slice(10)).to.deep.equal(['two', 'one']);
    repeats.flush();
  });

  it('is told at the end of the process', () => {
    const repeats = counting(10_000);
    for (let i = 0; i < 12; i++) say(repeats, 'one');
    repeats.flush();
    expect(written.at(-1)).to.equal('… 2 more of these in 10 s: one');
  });
});
