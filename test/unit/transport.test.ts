/** Connections without the runtime's own handles, as those on a Unix socket are: nobody has more than its share of the event loop. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Transport } from '../../src/io/transport.ts';
import { READ_SIZE } from '../../src/memory.ts';
import { Traffic } from '../../src/stats.ts';
import { until } from '../support/rabbitmq.ts';

const BYTES = 20 * READ_SIZE;

describe('A connection on a Unix socket', () => {
  let server: Server;
  let peer: Socket;
  let transport: Transport;

  beforeEach(async () => {
    const path = join(tmpdir(), `amqproxy-transport-${process.pid}`);
    server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    server.listen(path);
    await once(server, 'listening');
    peer = connect(path);
    const [socket] = (await once(server, 'connection')) as [Socket];
    transport = Transport.accept({ socket, tls: null, origin: null, first: null, at: 0 }, new Traffic());
  });
  afterEach(() => {
    peer.destroy();
    transport.destroy();
    server.close();
  });

  it('is read one buffer in a turn of the event loop, so that others come between', async () => {
    let inTurn = 0;
    let most = 0;
    transport.start({
      received: chunk => {
        inTurn += chunk.length;
        most = Math.max(most, inTurn);
      },
      peerEnded: () => {},
      transportClosed: () => {},
    });
    peer.write(Buffer.alloc(BYTES));
    while (transport.bytesIn < BYTES) {
      inTurn = 0;
      await new Promise(setImmediate);
    }
    expect(most).to.be.at.most(READ_SIZE);
    await until('it is read on', () => transport.reading);
  });
});
