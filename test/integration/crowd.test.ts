/** Many clients at once, each doing one of the things that leave a channel dirty, or dying: everyone sees only its own. */
import { randomizer, visit } from '../support/acts.ts';
import { direct, fixture, queueName, settingsFile } from '../support/fixture.ts';

const WORKERS = 24;
const ROUNDS = 40;

const MODES: Record<string, { settings?: string[]; env?: NodeJS.ProcessEnv }> = {
  'as installed': {},
  'consumers = shared': { settings: ['consumers = shared'] },
  session: { settings: ['pool_mode = session'] },
  'on a runtime whose own handles are not as we know them': { env: { AMQPROXY_NET_SOCKETS: '1' } },
};

for (const [mode, { settings = [], env = {} }] of Object.entries(direct ? { 'no proxy': {} } : MODES))
  describe(`A crowd of ${WORKERS} clients, ${mode}`, () => {
    const to = fixture(settings.length > 0 ? ['-c', settingsFile(...settings)] : [], env);

    it(`of which each does ${ROUNDS} random things and some die sees only its own`, async function () {
      this.timeout(180_000);
      const seed = Number(process.env.AMQPROXY_TEST_SEED ?? Date.now() % 1e9);
      const worker = async (number: number): Promise<void> => {
        const random = randomizer(seed + number);
        let queue = queueName('crowd');
        for (let round = 0; round < ROUNDS; round++)
          queue = await visit(to.port, queue, random).catch(error => {
            throw new Error(`seed ${seed}, client ${number}, round ${round}, ${(error as Error).message}`);
          });
      };
      await Promise.all(Array.from({ length: WORKERS }, (_, number) => worker(number)));
    });
  });
