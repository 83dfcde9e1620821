/** From the text of an option to its value. Each throws an Error whose message says what is wrong with the text. */
import { isIPv6 } from 'node:net';
import type { BrokerAddress } from './options.ts';

export const parseText = (text: string): string => text.trim();

export function parseNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) throw new Error('is not a number');
    if (value < min || value > max) throw new Error('is out of range');
    return value;
  };
}

export function parseInteger(min: number, max: number): (text: string) => number {
  const number = parseNumber(min, max);
  return text => {
    const value = number(text);
    if (!Number.isInteger(value)) throw new Error('is not a whole number');
    return value;
  };
}

const UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes, with an optional k, m or g (also KiB, MB …; always powers of 1024). */
export function parseSize(min: number, max: number): (text: string) => number {
  return text => {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?)i?b?\s*$/i.exec(text);
    if (match === null) throw new Error('is not a size');
    const value = Math.round(Number(match[1]) * UNITS[match[2].toLowerCase()]);
    if (value < min || value > max) throw new Error('is out of range');
    return value;
  };
}

export function parseChoice<const T extends string>(...choices: T[]): (text: string) => T {
  return text => {
    const found = choices.find(choice => choice === text.trim().toLowerCase());
    if (found === undefined) throw new Error('is not one of the choices');
    return found;
  };
}

export function parseBoolean(text: string): boolean {
  const value = text.trim().toLowerCase();
  if (['yes', 'true', 'on', '1'].includes(value)) return true;
  if (['no', 'false', 'off', '0'].includes(value)) return false;
  throw new Error('is neither yes nor no');
}

/** `{amqp|amqps}://host[:port]`, several separated by commas. */
export function parseBrokers(text: string): BrokerAddress[] {
  const brokers = text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '');
  if (brokers.length === 0) throw new Error('names no broker');
  return brokers.map(parseBroker);
}

function parseBroker(text: string): BrokerAddress {
  const match = /^(amqps?):\/\/([^/?#]*)(.*)$/i.exec(text);
  if (match === null) throw new Error(`is not an AMQP URL (${hideSecret(text)})`);
  const [, scheme, authority, rest] = match;
  if (authority.includes('@'))
    throw new Error(
      'has a user or password in it: leave it out, the proxy logs in with what each client brings',
    );
  if (rest !== '' && rest !== '/')
    throw new Error(`has a path in it (${rest}): leave it out, each client names its own vhost`);
  const tls = scheme.toLowerCase() === 'amqps';
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  if (parts === null) {
    if (isIPv6(authority.replace(/:\d+$/, '')) || isIPv6(authority))
      throw new Error('has an IPv6 address without brackets: write [::1]:5672');
    throw new Error(`has no valid host and port (${authority})`);
  }
  const [, v6, host, port] = parts;
  if (v6 !== undefined && !isIPv6(v6)) throw new Error(`has no IPv6 address in its brackets (${v6})`);
  const number = port === undefined ? (tls ? 5671 : 5672) : Number(port);
  if (number < 1 || number > 65535) throw new Error(`has a port that is out of range (${port})`);
  return { host: v6 ?? host, port: number, tls };
}

/** A URL as it may be shown. */
export const hideSecret = (text: string): string => text.replace(/(:\/\/[^:@/]*):[^@]*@/, '$1:***@');
