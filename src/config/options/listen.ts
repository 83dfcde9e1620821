/** The section [listen]: where clients come in, and the HTTP server of the group "Monitoring". */
import { listen } from '../option.ts';
import { address, pemFile, port } from '../types.ts';

export const LISTEN = {
  listenAddress: listen('address', {
    group: 'Listen',
    aliases: ['bind'],
    type: address,
    default: 'localhost',
    env: 'LISTEN_ADDRESS',
    flag: 'listen',
    letter: 'l',
    live: false,
    help: 'Address to listen on; localhost is 127.0.0.1 and, where there is one, ::1.',
  }),
  listenPort: listen('port', {
    group: 'Listen',
    type: port,
    default: 5673,
    env: 'LISTEN_PORT',
    flag: 'port',
    letter: 'p',
    live: false,
    help: 'Port to listen on; 0 for any that is free.',
  }),
  listenTlsPort: listen('tls_port', {
    group: 'Listen',
    type: port,
    default: 0,
    live: false,
    help: 'Port for clients that speak TLS; 0 for none.',
  }),
  tlsCert: listen('tls_cert', {
    group: 'Listen',
    type: pemFile,
    default: '',
    live: true,
    help: 'Certificate shown to clients that speak TLS, with its chain.',
    more: 'It is read again at each reload.',
  }),
  tlsKey: listen('tls_key', {
    group: 'Listen',
    type: pemFile,
    default: '',
    live: true,
    help: 'Private key of tls_cert.',
  }),
  httpAddress: listen('http_address', {
    group: 'Monitoring',
    aliases: ['http_bind'],
    type: address,
    default: 'localhost',
    live: false,
    help: 'Address of the HTTP server (/metrics, /healthz, /readyz).',
    more: 'AMQProxy listens on the same address as for AMQP; here it stays on loopback unless told otherwise.',
  }),
  httpPort: listen('http_port', {
    group: 'Monitoring',
    aliases: ['main.http_port'],
    type: port,
    default: 15673,
    env: 'HTTP_PORT',
    flag: 'http-port',
    letter: 'b',
    live: false,
    help: 'Port of the HTTP server; 0 for none.',
  }),
};
