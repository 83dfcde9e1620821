/** A broker that allows few channels a connection: parked ones make room for whoever wants one of the other kind. */
import { expect } from 'chai';
import * as f from '../differential/frames.ts';
import { queueName } from '../support/fixture.ts';
import { closeOf, type RawClient } from '../support/raw-client.ts';
import { relayed } from '../support/relayed.ts';

const MAX = 8;

/** Uses all channels there may be, of one kind, and closes them: they are parked. */
async function fill(client: RawClient, queue: string, confirm: boolean): Promise<void> {
  for (let channel = 1; channel <= MAX; channel++) {
    await client.open(channel);
    if (confirm) await client.call(f.confirmSelect(channel), 'confirm.select-ok');
    await client.call(f.declare(channel, queue), 'queue.declare-ok');
  }
  for (let channel = 1; channel <= MAX; channel++)
    await client.call(f.channelClose(channel), 'channel.close-ok');
}

/** The next answer; fails with the broker's words if that is a close. */
async function answered(client: RawClient, bytes: Buffer, name: string): Promise<void> {
  client.send(bytes);
  const frame = await client.next(frame => frame.name === name || frame.name.endsWith('.close'));
  if (frame?.name !== name) expect.fail(`${frame?.name}: ${frame && closeOf(frame).text}`);
}

for (const [mode, settings] of Object.entries({
  'pool_mode = shared': [],
  'pool_mode = session': ['pool_mode = session'],
}))
  describe(`All channels of an upstream are parked, ${mode}`, () => {
    const to = relayed(settings, true);
    beforeEach(() => {
      to.relay.fromBroker = ({ name }) =>
        name === 'connection.tune'
          ? f.method(0, 10, 30, f.w().short(MAX).long(131072).short(60).take())
          : 'pass';
    });

    for (const [kind, confirm] of [
      ['without confirms', false],
      ['with confirms', true],
    ] as const)
      describe(kind, () => {
        let client: RawClient;
        let queue: string;
        beforeEach(async () => {
          queue = queueName('parked');
          client = await to.login({ channelMax: MAX });
          await fill(client, queue, confirm);
          if (mode !== 'pool_mode = session') {
            await client.call(f.connectionClose(), 'connection.close-ok');
            client = await to.login({ channelMax: MAX });
          }
        });

        it('a client gets one of the other kind', async () => {
          await client.open(1);
          if (!confirm) await answered(client, f.confirmSelect(1), 'confirm.select-ok');
          await answered(client, f.declare(1, queue), 'queue.declare-ok');
          client.send(f.publish(1, queue, 'x'));
          if (!confirm) await answered(client, f.declare(1, queue, f.PASSIVE), 'basic.ack');
        });

        it('a client on a private upstream gets as many of the other kind as the broker allows', async () => {
          for (let channel = 1; channel <= MAX; channel++) {
            await client.open(channel);
            if (!confirm) await answered(client, f.confirmSelect(channel), 'confirm.select-ok');
            await answered(client, f.get(channel, queue), 'basic.get-empty');
          }
        });

        it('a client on a private upstream gets both kinds', async () => {
          for (let channel = 1; channel <= MAX; channel++) {
            await client.open(channel);
            await answered(client, f.get(channel, queue), 'basic.get-empty');
            if (channel % 2 === 0) await answered(client, f.confirmSelect(channel), 'confirm.select-ok');
            await answered(
              client,
              f.publish(channel, `${queue}-none`, 'x', { flags: f.MANDATORY }),
              'basic.return',
            );
          }
        });
      });
  });
