/** The ways applications use a broker, with the client libraries they use: amqplib, php-amqplib, PHP's amqp extension, pika. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { ConsumeMessage } from 'amqplib';
import { expect } from 'chai';
import { direct, fixture, queueName, settingsFile } from '../support/fixture.ts';
import { until } from '../support/rabbitmq.ts';

const run = promisify(execFile);
/** Each script runs one pattern and ends with 0; what it says otherwise is the error. */
const clients = resolve(import.meta.dirname, 'clients');
const PATTERNS = [
  'publish',
  'confirm',
  'consume',
  'get',
  'tx',
  'return',
  'rpc-direct',
  'rpc-exclusive',
  'large',
  'wrong-password',
  'channel-error',
];

/** The settings that decide over which upstream a client's channels go, and how they are closed. */
const MODES = {
  'as installed': [],
  'pool_mode = session': ['pool_mode = session'],
  'consumers = shared': ['consumers = shared'],
  'close = instant': ['close = instant'],
};

for (const [mode, settings] of Object.entries(direct ? { 'no proxy': [] } : MODES))
  describe(`Patterns, ${mode}`, () => {
    const to = fixture(settings.length > 0 ? ['-c', settingsFile(...settings)] : []);

    describe('of amqplib', () => {
      it('publisher confirms, also many on the way at once', async () => {
        const connection = await to.connect();
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue(queueName());
        for (let n = 0; n < 500; n++) channel.sendToQueue(queue, Buffer.from(`${n}`));
        await channel.waitForConfirms();
        expect((await channel.checkQueue(queue)).messageCount).to.equal(500);
        await channel.deleteQueue(queue);
        await connection.close();
      });

      it('consume with prefetch, ack, nack and requeue', async () => {
        const connection = await to.connect();
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue(queueName());
        for (let n = 0; n < 20; n++) channel.sendToQueue(queue, Buffer.from(`${n}`));
        await channel.waitForConfirms();
        await channel.prefetch(3);
        let most = 0;
        let held = 0;
        const seen: string[] = [];
        let redelivered = 0;
        const { consumerTag } = await channel.consume(queue, message => {
          if (message === null) return;
          held++;
          most = Math.max(most, held);
          setImmediate(() => {
            held--;
            if (message.fields.redelivered) redelivered++;
            else if (message.content.toString() === '7') {
              channel.nack(message);
              return;
            }
            seen.push(message.content.toString());
            channel.ack(message);
          });
        });
        await until('20 messages', () => seen.length === 20);
        expect(new Set(seen).size).to.equal(20);
        expect(most).to.be.at.most(3);
        expect(redelivered).to.be.at.least(1);
        await channel.cancel(consumerTag);
        expect(await channel.get(queue)).to.equal(false);
        await channel.deleteQueue(queue);
        await connection.close();
      });

      it('get, with and without ack, and from an empty queue', async () => {
        const connection = await to.connect();
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue(queueName());
        expect(await channel.get(queue)).to.equal(false);
        channel.sendToQueue(queue, Buffer.from('a'), { headers: { n: 1 }, correlationId: 'c' });
        channel.sendToQueue(queue, Buffer.from('b'));
        await channel.waitForConfirms();
        const first = await channel.get(queue);
        if (first === false) throw new Error('no message');
        expect(first.properties.headers).to.deep.equal({ n: 1 });
        expect(first.properties.correlationId).to.equal('c');
        expect(first.fields.messageCount).to.equal(1);
        channel.ack(first);
        const second = await channel.get(queue, { noAck: true });
        if (second === false) throw new Error('no message');
        expect(second.content.toString()).to.equal('b');
        expect((await channel.deleteQueue(queue)).messageCount).to.equal(0);
        await connection.close();
      });

      it('a mandatory message that cannot be routed comes back, before its confirm', async () => {
        const connection = await to.connect();
        const channel = await connection.createConfirmChannel();
        const events: string[] = [];
        channel.on('return', message => events.push(`return ${message.content}`));
        channel.publish('', queueName('nobody'), Buffer.from('lost'), { mandatory: true }, () =>
          events.push('ack'),
        );
        await channel.waitForConfirms();
        expect(events).to.deep.equal(['return lost', 'ack']);
        await connection.close();
      });

      it('fanout, direct, topic and headers exchanges, with bindings between exchanges', async () => {
        const connection = await to.connect();
        const channel = await connection.createConfirmChannel();
        const { queue } = await channel.assertQueue(queueName());
        const names: string[] = [];
        for (const type of ['fanout', 'direct', 'topic', 'headers']) {
          const exchange = queueName(type);
          names.push(exchange);
          await channel.assertExchange(exchange, type, { durable: false });
          await channel.bindQueue(queue, exchange, type === 'topic' ? 'a.*' : 'a.b', {
            ...(type === 'headers' ? { 'x-match': 'all', color: 'red' } : {}),
          });
          channel.publish(exchange, 'a.b', Buffer.from(type), { headers: { color: 'red' } });
        }
        await channel.bindExchange(names[0], names[1], 'to-fanout');
        channel.publish(names[1], 'to-fanout', Buffer.from('bound'));
        await channel.waitForConfirms();
        expect((await channel.checkQueue(queue)).messageCount).to.equal(5);
        await channel.unbindExchange(names[0], names[1], 'to-fanout');
        for (const name of names) await channel.deleteExchange(name);
        await channel.deleteQueue(queue);
        await connection.close();
      });

      const rpc = async (
        replyQueue: (connection: Awaited<ReturnType<typeof to.connect>>) => Promise<string>,
      ) => {
        const server = await to.connect();
        const serving = await server.createChannel();
        const { queue } = await serving.assertQueue(queueName('rpc'));
        await serving.consume(queue, request => {
          if (request === null) return;
          serving.sendToQueue(request.properties.replyTo as string, Buffer.from(`${request.content}!`), {
            correlationId: request.properties.correlationId as string,
          });
          serving.ack(request);
        });
        const client = await to.connect();
        const calling = await client.createChannel();
        const replyTo = await replyQueue(client);
        const replies = new Map<string, (reply: ConsumeMessage) => void>();
        await calling.consume(
          replyTo,
          reply => {
            if (reply !== null) replies.get(reply.properties.correlationId as string)!(reply);
          },
          { noAck: true },
        );
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, n) => {
            const answer = new Promise<string>(resolve =>
              replies.set(`${n}`, reply => resolve(reply.content.toString())),
            );
            calling.sendToQueue(queue, Buffer.from(`call ${n}`), { replyTo, correlationId: `${n}` });
            return answer;
          }),
        );
        expect(answers).to.deep.equal(Array.from({ length: 20 }, (_, n) => `call ${n}!`));
        await serving.deleteQueue(queue);
        await client.close();
        await server.close();
      };

      it('RPC over direct reply-to', () => rpc(async () => 'amq.rabbitmq.reply-to'));

      it('RPC over an exclusive reply queue, declared on another channel of the same connection', () =>
        rpc(async connection => {
          const channel = await connection.createChannel();
          return (await channel.assertQueue('', { exclusive: true })).queue;
        }));

      it('an exclusive queue is locked to its client and dies with it', async () => {
        const owner = await to.connect();
        const name = queueName('exclusive');
        await (await owner.createChannel()).assertQueue(name, { exclusive: true });
        const other = await to.connect();
        const channel = await other.createChannel();
        channel.on('error', () => {});
        const refused = await channel.checkQueue(name).catch((error: Error) => error.message);
        expect(refused).to.match(/405 \(RESOURCE-LOCKED\)/);
        await owner.close();
        await until('the queue to be gone', async () => {
          const probe = await other.createChannel();
          probe.on('error', () => {});
          const answer = await probe.checkQueue(name).catch((error: Error) => error.message);
          return typeof answer === 'string' && answer.includes('404');
        });
        await other.close();
      });

      it('a consumer hears of the end of its queue', async () => {
        const connection = await to.connect();
        const channel = await connection.createChannel();
        const { queue } = await channel.assertQueue(queueName());
        let cancelled = false;
        await channel.consume(queue, message => {
          if (message === null) cancelled = true;
        });
        const other = await to.connect();
        await (await other.createChannel()).deleteQueue(queue);
        await until('the cancel', () => cancelled);
        await other.close();
        await connection.close();
      });

      it('a channel error leaves the connection and its other channels alone', async () => {
        const connection = await to.connect();
        const good = await connection.createChannel();
        const { queue } = await good.assertQueue(queueName());
        for (let n = 0; n < 3; n++) {
          const bad = await connection.createChannel();
          const failed = new Promise<Error>(resolve => bad.on('error', resolve));
          bad.publish('no-such-exchange', '', Buffer.from('x'));
          expect((await failed).message).to.match(/404 \(NOT-FOUND\)/);
        }
        good.sendToQueue(queue, Buffer.from('fine'));
        await until('the message', async () => (await good.checkQueue(queue)).messageCount === 1);
        await good.deleteQueue(queue);
        await connection.close();
      });
    });

    for (const [library, command, script, without] of [
      ['php-amqplib', 'php', 'php-amqplib.php', []],
      ["PHP's amqp extension", 'php', 'php-amqp.php', ['return', 'rpc-direct', 'rpc-exclusive']],
      ['pika', '/usr/bin/python3', 'pika-patterns.py', []],
    ] as const)
      describe(`of ${library}`, () => {
        for (const pattern of PATTERNS.filter(name => !(without as readonly string[]).includes(name)))
          it(pattern, async () => {
            const args = [resolve(clients, script), String(to.port), pattern, queueName(pattern)];
            const { stdout } = await run(command, args, { timeout: 50_000 }).catch(
              (error: { stdout: string; stderr: string; message: string }) => {
                throw new Error(`${error.stdout}${error.stderr || error.message}`);
              },
            );
            expect(stdout.trim()).to.equal('ok');
          });
      });
  });
