/** The group "Log". */
import { DAY, MINUTE, main } from '../option.ts';
import { boolean, choice, seconds } from '../types.ts';

export const LOG = {
  logLevel: main('log_level', {
    group: 'Log',
    aliases: ['listen.log_level'],
    type: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
      // the other levels of AMQProxy, and of syslog
      notice: 'warn',
      warning: 'warn',
      none: 'silent',
      unknown: 'fatal',
    }),
    default: 'info',
    env: 'LOG_LEVEL',
    flag: 'log-level',
    live: true,
    help: 'The least important messages to log.',
  }),
  logFormat: main('log_format', {
    group: 'Log',
    type: choice(['auto', 'pretty', 'journal', 'json']),
    default: 'auto',
    flag: 'log-format',
    live: false,
    help: 'How the log is written to standard output.',
    more: 'auto: pretty on a terminal, with journal priorities under systemd, plain lines elsewhere.',
  }),
  logConnections: main('log_connections', {
    group: 'Log',
    type: boolean,
    default: false,
    live: true,
    help: 'Log when each client comes and goes.',
    more: 'log_level = debug tells the rest of its way, too: leases, and why it got an upstream of its own.',
  }),
  statsPeriod: main('stats_period', {
    group: 'Log',
    type: seconds(0, DAY),
    default: MINUTE,
    live: true,
    help: 'Seconds between two stats lines in the log; 0 for none.',
  }),
};
