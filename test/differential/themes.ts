/** Every case, by its theme: the file it stands in. */
import * as channels from './cases/channels.ts';
import * as consumers from './cases/consumers.ts';
import * as content from './cases/content.ts';
import * as framing from './cases/framing.ts';
import * as handshake from './cases/handshake.ts';
import * as messages from './cases/messages.ts';
import * as methods from './cases/methods.ts';
import type { Case } from './run.ts';

export const THEMES: Record<string, Record<string, Case>> = {
  handshake,
  framing,
  content,
  channels,
  methods,
  messages,
  consumers,
};
