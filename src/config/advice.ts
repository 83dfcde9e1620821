/** What the start says of settings that are right, but may not be what was meant by somebody who comes from AMQProxy. */
import type { Loaded } from './load.ts';

const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || address.startsWith('127.');

/** AMQProxy serves HTTP on the address for clients: a scrape or a load balancer's check from outside would end in silence. */
export function httpAdvice({ config, sources }: Loaded): string | undefined {
  const { listenAddress, httpPort } = config;
  if (httpPort === 0 || sources.httpAddress !== 'default' || isLoopback(listenAddress)) return undefined;
  return `HTTP is for this machine only, [listen] address (${listenAddress}) is for clients: set http_address = ${listenAddress} in [listen] to serve both there, as AMQProxy does`;
}
