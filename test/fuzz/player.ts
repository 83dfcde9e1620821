/** Plays a script on a connection of its own, and judges what its client has seen: an answer or an end, and nothing of others. */
import * as f from '../differential/frames.ts';
import type { Losses } from '../support/losses.ts';
import { type RabbitMQ, sleep } from '../support/rabbitmq.ts';
import { closeOf, type Frame, inVain, RawClient } from '../support/raw-client.ts';
import type { Visitors } from '../support/visitors.ts';
import { channelsOf, encode, framed, OPEN, type Script, type Step } from './steps.ts';

/** Seconds within which every client gets an answer or an end. */
const ANSWER_S = 15;
/** Seconds in which the broker and the proxy may object. */
const OBJECTION_S = 0.03;

/** The proxy and what is around it. */
export interface Stage {
  port: number;
  tlsPort: number;
  /** The broker's; 0: no limit. */
  channelMax: number;
  losses: Losses;
  broker: RabbitMQ;
  visitors: Visitors;
}

const ends = ({ name }: Frame): boolean => name === 'connection.close' || name === 'connection.close-ok';

/** Logs in; null when a loss may be why it cannot. */
async function start(stage: Stage, { tls, told, channelMax: wanted }: Script): Promise<RawClient | null> {
  const since = performance.now();
  const most = stage.channelMax || 65535;
  const channelMax = wanted > 0 && wanted <= most ? wanted : stage.channelMax;
  const capabilities = { authentication_failure_close: true, 'connection.blocked': told };
  try {
    return await RawClient.start(tls ? stage.tlsPort : stage.port, { tls, channelMax, capabilities });
  } catch (error) {
    const { message } = error as Error;
    if (stage.losses.excuse(since) && !inVain(message)) return null;
    throw error;
  }
}

/** Answers what the broker has closed. */
function answer(client: RawClient): void {
  for (const frame of [...client.frames]) {
    if (frame.name !== 'channel.close') continue;
    client.frames.splice(client.frames.indexOf(frame), 1);
    client.send(f.channelCloseOk(frame.channel), f.channelOpen(frame.channel));
  }
}

/** Returns whether the client goes on. */
async function act(stage: Stage, client: RawClient, step: Step): Promise<boolean> {
  switch (step.kind) {
    case 'wait':
      await sleep(step.ms);
      return true;
    case 'end':
      return false;
    case 'loss':
      stage.losses.arm(step);
      return true;
    case 'alarm':
      await stage.broker.alarm(step.on);
      return true;
    case 'visit':
      stage.visitors.come(step.how);
      return true;
    case 'answer':
      answer(client);
      return true;
    default:
      client.send(encode(step));
      return true;
  }
}

/** Every connection.blocked has its connection.unblocked, or the client has been told of its end. */
async function unblocked(client: RawClient): Promise<void> {
  let blocked = 0;
  for (const { name } of client.frames)
    if (name === 'connection.blocked') blocked++;
    else if (name === 'connection.unblocked') blocked--;
  if (blocked < 0 || blocked > 1)
    throw new Error(`the client was told ${blocked} times more that it is blocked`);
  if (blocked === 1)
    await client.next(({ name }) => name === 'connection.unblocked' || name === 'connection.close', ANSWER_S);
}

/** How the connection ends, once the client asks for it. */
async function leave(client: RawClient): Promise<Frame | null> {
  client.send(f.connectionClose());
  const end = await client.next(ends, ANSWER_S);
  if (end?.name === 'connection.close') {
    client.send(f.connectionCloseOk());
    await client.closed(ANSWER_S);
  }
  return end;
}

/** Throws what is wrong. */
export async function play(stage: Stage, script: Script): Promise<void> {
  const { losses, broker } = stage;
  const since = performance.now();
  const client = await start(stage, script);
  if (client === null) return;
  try {
    client.send(...OPEN.map(f.channelOpen));
    let last: Step | null = null;
    for (const step of script.steps) {
      last = step;
      if (client.ended || !(await act(stage, client, step))) break;
    }
    if (script.steps.some(({ kind }) => kind === 'alarm')) await broker.alarm(false);
    if (last?.kind === 'end' && last.how === 'die') return;
    if (last?.kind !== 'end')
      await client.next(ends, OBJECTION_S).then(
        back => back && client.frames.unshift(back),
        () => {},
      );
    if (!framed(script.steps)) {
      // it may be in the middle of a frame: nobody need answer
      client.send(f.connectionCloseOk());
      return;
    }
    if (!client.frames.some(ends) && !client.ended) await unblocked(client);
    judge(await leave(client), client, script, losses.excuse(since));
  } finally {
    losses.disarm();
    client.destroy();
  }
}

function judge(end: Frame | null, client: RawClient, script: Script, lost: boolean): void {
  const channels = channelsOf(script.steps);
  const stray = client.frames.find(({ channel }) => !channels.has(channel));
  if (stray !== undefined) throw new Error(`the client has seen ${stray.name} of channel ${stray.channel}`);
  if (lost) return;
  if (end === null) {
    // as RabbitMQ ends one that sends a method it does not know
    if (script.steps.some(({ kind }) => kind === 'frame')) return;
    throw new Error('the client’s connection ended without a word');
  }
  const { code, text } = end.name === 'connection.close' ? closeOf(end) : { code: 200, text: '' };
  if (code === 320) throw new Error(`the client was told of a loss that did not happen: ${text}`);
}
