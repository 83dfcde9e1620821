/** The group "Broker": whom upstreams are opened to. */
import { main } from '../option.ts';
import { type BrokerAddress, boolean, brokers, pemFile } from '../types.ts';

export const BROKER = {
  upstream: main('upstream', {
    group: 'Broker',
    alsoIn: ['route'],
    type: brokers,
    default: [] as BrokerAddress[],
    env: 'AMQP_URL',
    live: true,
    help: 'The broker, or the brokers of a cluster, tried in turn.',
    more: 'User, password and vhost in it are ignored: each client brings its own. amqps speaks TLS. Default ports: 5672, with TLS 5671. When it changes, new leases go to the new brokers and the old upstreams drain.',
  }),
  tlsCa: main('tls_ca', {
    group: 'Broker',
    alsoIn: ['route'],
    type: pemFile,
    default: '',
    live: true,
    help: "Certificates of the authorities that may sign the broker's; empty for the usual ones.",
  }),
  tlsVerify: main('tls_verify', {
    group: 'Broker',
    alsoIn: ['route'],
    type: boolean,
    default: true,
    live: true,
    help: "Check the broker's certificate and host name.",
    more: 'With no, anybody on the way can read and change everything; every start warns of it.',
  }),
  upstreamTlsCert: main('tls_cert', {
    group: 'Broker',
    alsoIn: ['route'],
    type: pemFile,
    default: '',
    live: true,
    help: 'Certificate shown to brokers that ask for one, with its chain; empty for none.',
    more: 'It and its key are read again at every connection.',
  }),
  upstreamTlsKey: main('tls_key', {
    group: 'Broker',
    alsoIn: ['route'],
    type: pemFile,
    default: '',
    live: true,
    help: 'Private key of tls_cert.',
  }),
};
