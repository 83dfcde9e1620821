/** Where clients come in, as the settings say: [listen] for plain and TLS, and each section [listen NAME]. */
import type { Config } from './options.ts';
import { sectionsOf, settingsIn } from './sections.ts';

/** Where to listen. */
export type Place =
  | { readonly host: string; readonly port: number }
  | { readonly path: string; readonly mode: number; readonly group: string };

export interface ListenerSettings {
  /** By which the service manager hands a socket over for it: amqp and amqps for [listen], or the name of the section. */
  readonly name: string;
  /** "listen eu": where its settings are. */
  readonly heading: string;
  /** Null: only where the service manager hands a socket over. */
  readonly place: Place | null;
  readonly tls: boolean;
  /** Its own settings, and what it has from [listen]. */
  readonly config: Config;
}

/** Names of sockets that mean something else than a section. */
export const RESERVED = ['amqp', 'amqps', 'http', 'admin', 'unknown'] as const;

function placeOf(
  { listenSocket, listenAddress, listenSocketMode, listenSocketGroup }: Config,
  port: number | null = null,
) {
  if (listenSocket !== '')
    return { path: listenSocket, mode: listenSocketMode, group: listenSocketGroup } as const;
  return port === null ? null : ({ host: listenAddress, port } as const);
}

export function listenersOf(config: Config): ListenerSettings[] {
  const { listenAddress: host, listenPort, listenTlsPort } = config;
  const heading = 'listen';
  return [
    {
      name: 'amqp',
      heading,
      place: listenPort === null ? null : { host, port: listenPort },
      tls: false,
      config,
    },
    {
      name: 'amqps',
      heading,
      place: listenTlsPort > 0 ? { host, port: listenTlsPort } : null,
      tls: true,
      config,
    },
    ...sectionsOf(config, 'listen').map(section => {
      const settings = settingsIn(config, section);
      return {
        name: section.name,
        heading: `listen ${section.name}`,
        place: placeOf(settings, section.own.listenPort),
        tls: settings.listenTls,
        config: settings,
      };
    }),
  ];
}

/** Why no client can come in where nothing listens. */
export const NO_PLACE = '[listen] has neither port nor tls_port, there is no section [listen NAME]';

/** What is to be said of settings that name no place, if they name none. A socket that is handed over may make up for it. */
export function placeAdvice(config: Config): string | undefined {
  if (config.listenPort !== null || config.listenTlsPort > 0 || sectionsOf(config, 'listen').length > 0)
    return undefined;
  return `no client can come in by these settings alone: ${NO_PLACE}. A socket unit has to hand one over`;
}
