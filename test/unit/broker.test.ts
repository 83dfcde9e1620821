/** The state of a broker, and races between attempts, with plain objects. */
import { expect } from 'chai';
import { Broker } from '../../src/upstream/broker.ts';
import { lineOf } from '../../src/upstream/broker-news.ts';
import { race } from '../../src/upstream/race.ts';
import { until } from '../support/rabbitmq.ts';

class Connection {
  unwanted = false;
}

const rejection = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: Error) => error.message,
  );

/** A broker whose dials end as the test says, and what it has told. */
function make() {
  const told: string[] = [];
  const dials: { ok(connection: Connection): void; fail(why: string): void }[] = [];
  const clock = { now: 1000 };
  let refusals = 0;
  const broker = new Broker<Connection>('one:5672', {
    connect: () =>
      new Promise((ok, reject) => dials.push({ ok, fail: (why: string) => reject(new Error(why)) })),
    unwanted: connection => {
      connection.unwanted = true;
    },
    tell: news => told.push(`${news.is}: ${lineOf(news)}`),
    refusals: () => refusals,
    now: () => clock.now,
  });
  return { broker, told, dials, clock, refuse: (n: number) => (refusals += n) };
}

/** One that has failed once. */
async function down(why = 'refused') {
  const made = make();
  const first = made.broker.dial();
  made.dials[0].fail(why);
  await rejection(first);
  return made;
}

describe('A broker', () => {
  it('is dialed by whoever wants it while it is not known to be down', () => {
    const { broker, dials } = make();
    void broker.dial();
    void broker.dial();
    expect(dials).to.have.length(2);
    expect(broker.usable).to.equal(true);
    broker.close();
  });

  it('tells once that it is down, and who asks then hears why and how long ago', async () => {
    const { broker, told, dials, clock } = await down();
    expect(told).to.deep.equal(['down: Broker one:5672 is down: refused']);
    clock.now += 200;
    expect(await rejection(broker.dial())).to.equal('refused (0.2 s ago)');
    expect(dials).to.have.length(1);
    broker.close();
  });

  it('is dialed by itself until it is up again, and tells once what has happened meanwhile', async () => {
    const { broker, told, dials, clock, refuse } = await down();
    refuse(1218);
    await until('the second dial', () => dials.length === 2);
    dials[1].fail('refused');
    await until('the third dial', () => dials.length === 3);
    clock.now += 21_000;
    const connection = new Connection();
    dials[2].ok(connection);
    await until('a connection nobody wants to be given up', () => connection.unwanted);
    expect(broker.down).to.equal(false);
    expect(told.slice(1)).to.deep.equal([
      'up: Broker one:5672 is up again after 21 s and 2 failed attempts, 1,218 logins refused (refused)',
    ]);
  });

  it('that is down has one dial at a time, and who asks meanwhile shares its end', async () => {
    const { broker, dials, clock } = await down();
    await until('the second dial', () => dials.length === 2);
    clock.now += 10_000;
    const asking = [broker.dial(), broker.dial()];
    expect(dials).to.have.length(2);
    const connection = new Connection();
    dials[1].ok(connection);
    expect(await asking[0]).to.equal(connection);
    expect(dials).to.have.length(3); // the other one dials for itself now that it is up
    dials[2].ok(new Connection());
    await asking[1];
    broker.close();
  });

  it('that hangs while it is dialed is not waited for by those who ask', async () => {
    const { broker, dials } = await down();
    await until('the second dial', () => dials.length === 2);
    expect(await rejection(broker.dial())).to.equal('refused (0.0 s ago)');
    broker.close();
  });

  it('is dialed again by who asks a while after the last failure', async () => {
    const { broker, dials, clock } = await down();
    clock.now += 600;
    const asking = broker.dial();
    expect(dials).to.have.length(2);
    dials[1].ok(new Connection());
    expect(await asking).to.be.instanceOf(Connection);
  });

  it('that does not answer logins is tried by a login now and then, and up when one has worked', async () => {
    const { broker, dials, told } = make();
    broker.hangs('no answer to a login');
    expect(await rejection(broker.dial())).to.equal('no answer to a login (0.0 s ago)');
    expect(broker.usable).to.equal(false);
    await until('it to be on trial', () => broker.usable);
    const trial = broker.dial();
    expect(broker.usable).to.equal(false);
    dials[0].ok(new Connection());
    await trial;
    expect(broker.down).to.equal(true);
    broker.answers();
    expect(broker.down).to.equal(false);
    expect(told).to.have.length(2);
    broker.close();
  });

  it('is looked for when an upstream is lost that was not at fault, or the last one, not when one is closed', () => {
    const { broker, dials } = make();
    for (let n = 0; n < 4; n++) broker.joined();
    broker.left(true, false);
    broker.left(false, true);
    expect(dials).to.have.length(0);
    broker.left(true, true);
    expect(dials).to.have.length(1);
    broker.close();
  });

  it('is looked for when its last upstream is lost, whoever was at fault', () => {
    const { broker, dials } = make();
    broker.joined();
    broker.left(true, false);
    expect(dials).to.have.length(1);
    broker.close();
  });

  it('leaves when it ends what is there and lets nobody in, until it is back', async () => {
    const { broker, dials } = make();
    broker.joined();
    broker.joined();
    broker.left(true, true);
    expect(broker.leaves).to.equal(false);
    dials[0].fail('refused');
    await until('it to be down', () => broker.down);
    expect(broker.leaves).to.equal(true);
    await until('the next dial', () => dials.length > 1);
    dials[1].ok(new Connection());
    await until('it to be up', () => !broker.down);
    expect(broker.leaves).to.equal(false);
    broker.close();
  });

  it('that lets nobody in, but ends nothing, does not leave: its upstreams are as good as ever', async () => {
    const { broker, dials } = make();
    broker.joined();
    const dial = broker.dial();
    dials[0].fail('refused');
    await rejection(dial);
    expect([broker.down, broker.leaves]).to.deep.equal([true, false]);
    broker.close();
  });

  it('that is named no more tells nothing', async () => {
    const { broker, dials, told } = make();
    const dial = broker.dial();
    broker.close();
    dials[0].fail('refused');
    await rejection(dial);
    expect(told).to.deep.equal([]);
  });
});

describe('A race', () => {
  const never = new Promise<string>(() => {});
  const run = (attempts: (() => Promise<string>)[], final?: (error: Error) => boolean, late?: string[]) =>
    race({
      patience: 10,
      next: () => attempts.shift()?.() ?? null,
      late: value => void late?.push(value),
      ...(final ? { final } : {}),
    });
  const fail = (why: string) => () => Promise.reject(new Error(why));

  it('goes on with the next attempt at once when one fails', async () => {
    expect(await run([fail('one'), () => Promise.resolve('two')])).to.equal('two');
  });

  it('begins the next one when one takes long, and hands over what wins too late', async () => {
    const late: string[] = [];
    let slow = (_value: string): void => {};
    const first = new Promise<string>(resolve => {
      slow = resolve;
    });
    expect(await run([() => first, () => Promise.resolve('two')], undefined, late)).to.equal('two');
    slow('one');
    await until('the loser', () => late.length === 1);
  });

  it('waits for a slow one when the others have failed', async () => {
    const slow = new Promise<string>(resolve => setTimeout(resolve, 50, 'slow'));
    expect(await run([() => slow, fail('two')])).to.equal('slow');
  });

  it('ends with all errors, in the order of the attempts', async () => {
    const error = (await run([fail('one'), fail('two')]).catch((e: unknown) => e)) as AggregateError;
    expect(error.errors.map(({ message }: Error) => message)).to.deep.equal(['one', 'two']);
  });

  it('ends at once with an error that no other attempt would change', async () => {
    const error = (await run([fail('final'), () => never], () => true).catch(
      (e: unknown) => e,
    )) as AggregateError;
    expect(error.errors.map(({ message }: Error) => message)).to.deep.equal(['final']);
  });
});
