/**
 * The same actions straight to RabbitMQ and through the proxy, twice (the second time on channels that were used before):
 * what the client saw must be equal. Adding a case is adding an exported function to a file in test/differential/cases.
 * DIFFERENTIAL_DIRECT=1 compares the broker with itself instead: shows that the cases are stable. DIFFERENTIAL_SHOW=1
 * prints what was seen. With LAVINMQ or LAVINMQ_URL (make test-lavinmq) the broker is no RabbitMQ: the cases are those that
 * are not about RabbitMQ's own words, and the words of its errors do not count, only their codes.
 */
import { expect } from 'chai';
import { type Case, Run, sentence } from '../differential/run.ts';
import { THEMES } from '../differential/themes.ts';
import { OtherBroker } from '../support/other-broker.ts';
import { AmqProxy } from '../support/proxy.ts';
import { RabbitMQ } from '../support/rabbitmq.ts';

/**
 * What mostly waits runs side by side: all of this theme (RabbitMQ sleeps 3 s before it drops a bad handshake), and these
 * cases, beside the others of theirs (its deletion of a stream under a condition fails after 5 s).
 */
const WAITING_THEME = 'handshake';
const WAITING_CASES = new Set(['deleteOfAnEmptyStream', 'deleteOfAnUnusedStream']);
/** Differences that stay, and why. */
const KNOWN: Record<string, string> = {
  messagesOfTwoChannelsInterleaved:
    'the order of messages from two channels is not defined, at the broker neither',
  badPropertiesToAnExchangeThatIsNotThere:
    'the proxy cannot know that the exchange is not there: it says 541 where the broker says 404',
  connectionCloseTwice: 'a second connection.close sent with the first is not answered again',
  secondOpenOnAChannelJustClosed: 'depends on what overtakes what, at the broker too',
  deliverFromAClientWithoutContent:
    'the proxy refuses the method before its content could come: 503 where the broker says 505',
};
/** Differences to RabbitMQ 4 and later that stay. */
const KNOWN_FROM_4 = new Map(
  ['amqp10', 'amqp10WithSasl', 'amqp091InOtherWords', 'httpRequest', 'tlsHello'].map(name => [
    name,
    'the broker answers an unknown protocol with AMQP 1.0; the proxy speaks 0-9-1 only, and says so',
  ]),
);
/** Themes that are the same whichever broker it is. */
const OF_ANY_BROKER = new Set(['content', 'channels', 'messages', 'consumers']);
const QUIET_MS = 40;
const PATIENT_MS = 250;

/** A close frame without its text. */
const withoutWords = (line: string): string => line.replace(/(\.close \d+) "(?:[^"\\]|\\.)*"/, '$1');

describe('A client sees the same directly and through the proxy', () => {
  let broker: RabbitMQ | OtherBroker;
  let proxy: AmqProxy | null = null;
  let ports: number[] = [];
  let major = 0;

  before(async function () {
    this.timeout(120_000);
    // of its own: some cases leave queues behind whose names rabbitmqctl cannot print
    if (OtherBroker.wanted) broker = await OtherBroker.start();
    else {
      const rabbit = await RabbitMQ.start();
      broker = rabbit;
      major = Number((await rabbit.ctl('version')).split('.')[0]);
      await rabbit.ctl('add_vhost', 'closed to strangers');
      await rabbit.addUser('stranger', 'strange', '/');
    }
    if (process.env.DIFFERENTIAL_DIRECT === '1') ports = [broker.port];
    else {
      proxy = await AmqProxy.start(broker.url);
      ports = [proxy.port, proxy.port];
    }
  });
  after(async () => {
    await proxy?.stop();
    await broker.stop();
  });

  const play = async (port: number, act: Case, quietMs: number): Promise<string[]> => {
    const run = new Run(port, quietMs);
    try {
      const lines = await run.play(act);
      return OtherBroker.wanted ? lines.map(withoutWords) : lines;
    } finally {
      await run.cleanUp(broker.port);
    }
  };

  const compare = async (act: Case): Promise<void> => {
    let direct = await play(broker.port, act, QUIET_MS);
    if (process.env.DIFFERENTIAL_SHOW) console.log(direct.map(line => `    ${line}`).join('\n'));
    for (const [round, port] of ports.entries()) {
      let seen = await play(port, act, QUIET_MS);
      if (seen.join() !== direct.join()) {
        // a slow machine, or a real difference? Looks again with more patience
        direct = await play(broker.port, act, PATIENT_MS);
        seen = await play(port, act, PATIENT_MS);
      }
      expect(seen, `round ${round + 1}`).to.deep.equal(direct);
    }
  };

  for (const [theme, cases] of Object.entries(THEMES).filter(
    ([theme]) => !OtherBroker.wanted || OF_ANY_BROKER.has(theme),
  ))
    describe(theme, () => {
      const ahead = new Map<string, Promise<void>>();
      before(() => {
        for (const [name, act] of Object.entries(cases)) {
          if (theme !== WAITING_THEME && !WAITING_CASES.has(name)) continue;
          const outcome = compare(act);
          outcome.catch(() => {});
          ahead.set(name, outcome);
        }
      });
      for (const [name, act] of Object.entries(cases))
        if (name in KNOWN) it.skip(`${sentence(name)} (differs: ${KNOWN[name]})`);
        else
          it(sentence(name), function () {
            if (major >= 4 && KNOWN_FROM_4.has(name)) this.skip();
            return ahead.get(name) ?? compare(act);
          });
    });
});
