/** How upstreams call themselves at the broker: connection_name in start-ok, which its own tools show. */
import { hostname } from 'node:os';

/** Bytes of a name and a login that fit into start-ok, with all else that is said there (RabbitMQ before 4.1 takes 4096). */
const ROOM = 3400;
/** Control characters, and what breaks lines or turns the direction of writing: no application's name needs them in a log. */
const UNWRITABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

interface Login {
  readonly user: string;
  readonly secret: Buffer | null;
}

/** The name of an upstream that any client may get. */
export const sharedTitle = (user: string, vhost: string, number: number): string =>
  `amqproxy ${hostname()}: ${user}@${vhost} #${number}`;

/** What an application calls its connection, as an upstream of its own can say it; '' for nothing. */
export function ownTitle(title: string, { user, secret }: Login): string {
  const name = title.replace(UNWRITABLE, ' ');
  const bytes = Buffer.byteLength(name) + Buffer.byteLength(user) + (secret?.length ?? 0);
  return bytes > ROOM || name.trim() === '' ? '' : name;
}
