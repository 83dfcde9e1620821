/** From the first byte to connection.open-ok, and the ways it can end before (rabbit_reader). */
import { PROTOCOL_HEADER } from '../../../src/amqp/frame.ts';
import { encodeTable } from '../../../src/amqp/table.ts';
import type { LoginOptions } from '../../support/raw-client.ts';
import type { Actor } from '../client.ts';
import * as f from '../frames.ts';
import type { Case } from '../run.ts';

const { w } = f;

/** Sends these bytes first thing. */
const first =
  (...bytes: Buffer[]): Case =>
  async run => {
    const client = await run.dial();
    client.send(...bytes);
    await client.over();
  };

/** Sends what `act` does once connection.start is there. */
const started =
  (act: (client: Actor) => void): Case =>
  async run => {
    const client = await run.dial();
    await client.call(PROTOCOL_HEADER, 'connection.start');
    act(client);
    await client.over();
  };

/** Sends what `act` does once connection.tune is there. */
const tuned =
  (act: (client: Actor) => void): Case =>
  async run => {
    const client = await run.dial();
    await client.call(PROTOCOL_HEADER, 'connection.start');
    client.startOk({ authentication_failure_close: true }, 'PLAIN', Buffer.from('\0guest\0guest'));
    await client.wait('connection.tune');
    act(client);
    await client.over();
  };

/** A login that may be refused. */
const login =
  (options: LoginOptions): Case =>
  async run => {
    const client = await run.dial();
    const answer = await client.login(options);
    if (answer?.name === 'connection.close') client.send(f.connectionCloseOk());
    if (answer?.name !== 'connection.open-ok') await client.over();
  };

export const httpRequest = first(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
export const amqp10 = first(Buffer.from('AMQP\0\x01\0\0', 'latin1'));
export const amqp10WithSasl = first(Buffer.from('AMQP\x03\x01\0\0', 'latin1'));
export const amqpOfTheFuture = first(Buffer.from('AMQP\0\0\x09\x02', 'latin1'));
export const amqp091InOtherWords = first(Buffer.from('AMQP\x01\x01\0\x0a', 'latin1'));
export const tlsHello = first(Buffer.from('1603010200010001fc0303', 'hex'));
const older =
  (version: string): Case =>
  async run => {
    const client = await run.dial();
    client.send(Buffer.from(`AMQP${version}`, 'latin1'));
    await client.wait('connection.start');
  };
export const amqp09 = older('\x01\x01\0\x09');
export const serverProperties = older('\0\0\x09\x01');

export const loginWithPlain = login({});
export const loginWithAmqplain = login({
  mechanism: 'AMQPLAIN',
  response: encodeTable({ LOGIN: 'guest', PASSWORD: 'guest' }).subarray(4),
});
export const loginWithAmqplainAndAWrongSecret = login({
  mechanism: 'AMQPLAIN',
  response: encodeTable({ LOGIN: 'guest', PASSWORD: 'wrong' }).subarray(4),
});
export const loginWithAmqplainThatIsIncomplete = login({
  mechanism: 'AMQPLAIN',
  response: encodeTable({ LOGIN: 'guest' }).subarray(4),
});
export const wrongSecret = login({ secret: 'wrong' });
export const wrongSecretWithoutTheCapability = login({ secret: 'wrong', capabilities: {} });
export const unknownUser = login({ user: 'nobody' });
export const emptySecret = login({ secret: '' });
export const unknownMechanism = login({ mechanism: 'MAGIC' });
export const mechanismInLowerCase = login({ mechanism: 'plain' });
export const external = login({ mechanism: 'EXTERNAL' });
/** A mechanism of RabbitMQ from 4.0 on. */
export const anonymous = login({ mechanism: 'ANONYMOUS', response: Buffer.from('whoever') });
export const plainWithoutZeros = login({ response: Buffer.from('guest guest') });
export const plainWithAnAuthorizationIdentity = login({ response: Buffer.from('guest\0guest\0guest') });
export const emptyResponse = login({ response: Buffer.alloc(0) });
export const unknownVhost = login({ vhost: 'nowhere' });
export const vhostWithoutPermission = login({
  user: 'stranger',
  secret: 'strange',
  vhost: 'closed to strangers',
});
export const emptyVhost = login({ vhost: '' });
export const wrongSecretAndVhost = login({ secret: 'wrong', vhost: 'nowhere' });
/** Told at connection.open, though no channel is opened; the broker waits for nothing more. */
export const refusedLoginIsToldAtOnce: Case = async run => {
  const client = await run.dial();
  await client.call(PROTOCOL_HEADER, 'connection.start');
  client.startOk({ authentication_failure_close: true }, 'PLAIN', Buffer.from('\0guest\0wrong'));
  await client.wait('connection.close');
};
export const frameMaxOf4096 = login({ frameMax: 4096 });
export const frameMaxOf4095 = login({ frameMax: 4095 });
export const frameMaxOf1 = login({ frameMax: 1 });
export const frameMaxLargerThanOffered = login({ frameMax: 131073 });
export const frameMaxOf0 = login({ frameMax: 0 });
export const channelMaxLargerThanOffered = login({ channelMax: 2048 });
export const channelMaxOf0 = login({ channelMax: 0 });
export const channelMaxOf1 = login({ channelMax: 1 });
export const heartbeatLongerThanOffered = login({ heartbeat: 600 });
export const largeMessagesToASmallFrameMax: Case = async run => {
  const client = await run.client({ frameMax: 4096 });
  const queue = run.name('q');
  await client.call(f.declare(1, queue), 'queue.declare-ok');
  client.send(f.publish(1, queue, Buffer.alloc(100_000, 'abc'), { split: 4088 }));
  await client.call(f.get(1, queue), 'message');
  const other = await run.client({ label: 'other' });
  other.send(f.publish(1, queue, Buffer.alloc(100_000, 'xyz')));
  await other.call(f.channelFlow(1, true), 'channel.flow-ok');
  await client.call(f.get(1, queue), 'message');
};
export const frameOverASmallFrameMax: Case = async run => {
  const client = await run.client({ frameMax: 4096 });
  client.send(f.publishMethod(1, 'x'), f.headerWith(1, 4097, 0), f.bodyFrame(1, Buffer.alloc(4097)));
  await client.wait('connection.close');
};
export const heartbeatsAsTheClientWished: Case = async run => {
  const client = await run.client({ heartbeat: 1 });
  for (let n = 0; n < 6; n++) {
    await new Promise(resolve => setTimeout(resolve, 500));
    client.send(f.rawFrame(8, 0, Buffer.alloc(0)));
  }
  await client.alive();
  client.note(0, client.heartbeats >= 2 ? '(heartbeats)' : '(no heartbeats)');
};

export const channelMethodBeforeStartOk = started(client => client.send(f.channelOpen(1)));
export const tuneOkBeforeStartOk = started(client => client.tuneOk(2047, 131072, 0));
export const connectionOpenBeforeStartOk = started(client => client.openVhost('/'));
export const connectionCloseBeforeStartOk = started(client => client.send(f.connectionClose()));
export const heartbeatBeforeStartOk: Case = async run => {
  const client = await run.dial();
  await client.call(PROTOCOL_HEADER, 'connection.start');
  client.send(f.rawFrame(8, 0, Buffer.alloc(0)));
  client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest'));
  await client.wait('connection.tune');
};
export const unknownMethodBeforeStartOk = started(client => client.send(f.method(0, 10, 99)));
export const wrongEndByteBeforeStartOk = started(client =>
  client.send(f.rawFrame(1, 0, Buffer.from([0, 10, 0, 11]), 0)),
);
export const frameOver4096BeforeStartOk = started(client =>
  client.send(f.rawFrame(1, 0, Buffer.alloc(5000))),
);
export const startOkCutOff = started(client => client.send(f.method(0, 10, 11, w().long(0).octet(9).take())));
export const startOkWithABadTable = started(client =>
  client.send(
    f.method(
      0,
      10,
      11,
      w()
        .bytes(f.table(Buffer.from([1, 97, 0x7a])))
        .shortstr('PLAIN')
        .longstr('\0guest\0guest')
        .shortstr('en_US')
        .take(),
    ),
  ),
);
export const startOkTwice = tuned(client => client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest')));
export const connectionOpenBeforeTuneOk = tuned(client => client.openVhost('/'));
export const connectionCloseBeforeTuneOk = tuned(client => client.send(f.connectionClose()));
export const channelMethodBeforeTuneOk = tuned(client => client.send(f.channelOpen(1)));
export const channelMethodBeforeOpen = tuned(client => {
  client.tuneOk(2047, 131072, 0);
  client.send(f.channelOpen(1));
});
export const connectionCloseBeforeOpen = tuned(client => {
  client.tuneOk(2047, 131072, 0);
  client.send(f.connectionClose());
});
export const tuneOkTwice = tuned(client => {
  client.tuneOk(2047, 131072, 0);
  client.tuneOk(2047, 131072, 0);
});
export const unknownMethodBeforeOpen = tuned(client => {
  client.tuneOk(2047, 131072, 0);
  client.send(f.method(0, 10, 99));
});
export const wrongEndByteBeforeOpen = tuned(client => {
  client.tuneOk(2047, 131072, 0);
  client.send(f.rawFrame(1, 0, Buffer.from([0, 10, 0, 40]), 0));
});
export const missingLocale: Case = async run => {
  const client = await run.dial();
  await client.call(PROTOCOL_HEADER, 'connection.start');
  client.send(
    f.method(0, 10, 11, w().long(0).shortstr('PLAIN').longstr('\0guest\0guest').shortstr('').take()),
  );
  await client.wait('connection.tune');
};
/** All of it in one go, without waiting for any answer. */
export const handshakeWithoutWaiting: Case = async run => {
  const client = await run.dial();
  client.send(PROTOCOL_HEADER);
  client.startOk({}, 'PLAIN', Buffer.from('\0guest\0guest'));
  client.tuneOk(100, 65536, 0);
  client.openVhost('/');
  client.send(
    f.channelOpen(1),
    f.declare(1, run.name('q')),
    f.publish(1, run.name('q'), 'early'),
    f.get(1, run.name('q')),
  );
  await client.wait('message');
};
export const handshakeByteByByte: Case = async run => {
  const client = await run.dial();
  for (const byte of PROTOCOL_HEADER) {
    client.send(Buffer.from([byte]));
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  await client.wait('connection.start');
  const startOk = f.method(
    0,
    10,
    11,
    w().long(0).shortstr('PLAIN').longstr('\0guest\0guest').shortstr('en_US').take(),
  );
  for (const byte of startOk) {
    client.send(Buffer.from([byte]));
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  await client.wait('connection.tune');
};
