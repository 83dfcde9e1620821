/**
 * A network far away: a TCP relay in its own process that holds every byte back for half a round trip each way.
 * Arguments: port of the upstream, milliseconds of a round trip.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const [target, roundTrip] = process.argv.slice(2).map(Number);
const oneWay = roundTrip / 2;

/** Passes on what `from` says to `to`, `oneWay` later, and nothing before `earliest`. */
function delayed(from: Socket, to: Socket, earliest: number): void {
  const later = (act: () => void): void => {
    const now = performance.now();
    setTimeout(act, Math.max(oneWay, earliest - now));
  };
  from.on('data', chunk => later(() => to.writable && to.write(chunk)));
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroy()));
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
  const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  // on a real network the client would have waited a round trip for its connection before it said anything
  delayed(client, upstream, performance.now() + roundTrip + oneWay);
  delayed(upstream, client, 0);
});
server.listen(0, '127.0.0.1', 1024, () => process.send!((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
