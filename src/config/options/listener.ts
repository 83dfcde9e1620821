/** What only sections [listen NAME] have: other places where clients come in. */
import { named } from '../option.ts';
import { boolean, fileMode, unixPath, word } from '../types.ts';

export const LISTENER = {
  listenSocket: named('listen', 'socket', {
    group: 'Listen',
    type: unixPath,
    default: '',
    live: true,
    help: 'Unix socket to listen on, instead of a port.',
    more: 'Who may open it is of this host, and let in like one from 127.0.0.1. Under systemd /run/amqproxy is where it can be made.',
  }),
  listenSocketMode: named('listen', 'socket_mode', {
    group: 'Listen',
    type: fileMode,
    default: 0o660,
    live: true,
    help: 'Who may open the socket: the mode of its file.',
  }),
  listenSocketGroup: named('listen', 'socket_group', {
    group: 'Listen',
    type: word,
    default: '',
    live: true,
    help: 'Group of the socket, by name or number; empty for that of the process.',
    more: 'The process must be in it: SupplementaryGroups= in the unit.',
  }),
  listenTls: named('listen', 'tls', {
    group: 'Listen',
    type: boolean,
    default: false,
    live: true,
    help: 'Clients speak TLS here.',
    more: 'With tls_cert and tls_key of the section, or else those of [listen].',
  }),
};
