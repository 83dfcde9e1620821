/** When what was written goes out: at the end of a turn in which several sockets are read, at once where one is read at a time. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import { Turn } from '../../src/io/turn.ts';

describe('What reads bring for others', () => {
  let turn: Turn;
  let sent: string[];
  beforeEach(() => {
    turn = new Turn();
    sent = [];
  });

  const read = (...names: string[]): void => readOf(100, ...names);
  const readOf = (bytes: number, ...names: string[]): void => {
    turn.readBegins(bytes);
    for (const name of names) turn.add({ flushMarked: () => void sent.push(name) });
    turn.readEnds();
  };
  /** So many turns with one read each. */
  const alone = async (turns: number): Promise<void> => {
    for (let n = 0; n < turns; n++) {
      read('one');
      await nextTurn();
    }
    sent = [];
  };

  it('goes out at the end of the turn, until they are known to come one at a time', async () => {
    read('first');
    expect(sent).to.deep.equal([]);
    await nextTurn();
    expect(sent).to.deep.equal(['first']);
    await alone(10);
    read('one', 'and what it brought with it');
    expect(sent).to.deep.equal(['one', 'and what it brought with it']);
  });

  it('goes out together again when several come in a turn, after some reads at most', async () => {
    await alone(10);
    for (let n = 0; n < 100; n++) read('many');
    expect(sent.length).to.be.below(100);
    await nextTurn();
    expect(sent.length).to.equal(100);
    sent = [];
    read('one');
    read('another');
    expect(sent).to.deep.equal([]);
    await nextTurn();
    expect(sent).to.deep.equal(['one', 'another']);
  });

  it('goes out before somebody else’s much is handled, and that at the end of the turn', async () => {
    read('one');
    read('another');
    expect(sent).to.deep.equal([]);
    readOf(100_000, 'much');
    expect(sent).to.deep.equal(['one', 'another']);
    read('a third');
    await nextTurn();
    expect(sent).to.deep.equal(['one', 'another', 'much', 'a third']);
  });

  it('and what is written for any other reason, at the end of the turn', async () => {
    await alone(10);
    turn.add({ flushMarked: () => void sent.push('by a timer') });
    expect(sent).to.deep.equal([]);
    await nextTurn();
    expect(sent).to.deep.equal(['by a timer']);
  });

  it('is sent once, and what a flush has others write, in the same pass', async () => {
    turn.add({ flushMarked: () => turn.add({ flushMarked: () => void sent.push('its consequence') }) });
    await nextTurn();
    await nextTurn();
    expect(sent).to.deep.equal(['its consequence']);
  });
});
