/**
 * The types an option can have: from its text to its value and back. `parse` throws an Error whose message continues
 * "key = value …" and says what is wrong with the text; `allowed` says what would be right.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { onOneLine } from '../words.ts';

export interface Type<T> {
  parse(text: string): T;
  /** As it is written in the INI file. */
  show(value: T): string;
  allowed: string;
  /** What stands for the value in `--help`. */
  placeholder: string;
  /** Where there are only a few: for completion, and for "did you mean". */
  choices?: readonly string[];
  /** What in a text that `parse` takes has no effect, as a sentence that begins with it. */
  ignored?(text: string): string | undefined;
}

/** A broker, as an AMQP URL names it. */
export interface BrokerAddress {
  host: string;
  port: number;
  tls: boolean;
}

function decimal(text: string, min: number, max: number): number {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(trimmed)) throw new Error('is not a number');
  const value = Number(trimmed);
  if (value < min || value > max) throw new Error('is out of range');
  return value;
}

/** Seconds, fractions allowed. `special` is one more value outside the range, with a meaning of its own (-1: for ever). */
export function seconds(min: number, max: number, special?: number): Type<number> {
  return {
    parse: text => (special !== undefined && Number(text) === special ? special : decimal(text, min, max)),
    show: String,
    allowed: `seconds, ${min} to ${max}${special === undefined ? '' : `, or ${special}`}`,
    placeholder: 'SECONDS',
  };
}

export function integer(min: number, max: number, placeholder = 'NUMBER'): Type<number> {
  return {
    parse(text) {
      const value = decimal(text, min, max);
      if (!Number.isInteger(value)) throw new Error('is not a whole number');
      return value;
    },
    show: String,
    allowed: `a whole number, ${min} to ${max}`,
    placeholder,
  };
}

/** How many; 0 stands for auto. */
export function numberOrAuto(min: number, max: number): Type<number> {
  const number = integer(min, max);
  return {
    parse: text => (text.trim().toLowerCase() === 'auto' ? 0 : number.parse(text)),
    show: value => (value === 0 ? 'auto' : String(value)),
    allowed: `auto, or ${number.allowed}`,
    placeholder: 'NUMBER|auto',
  };
}

export const port: Type<number> = { ...integer(0, 65535, 'PORT'), allowed: 'a port, 0 to 65535' };

/** A port, or null where it is left empty. */
export const portOrNone: Type<number | null> = {
  parse: text => (text.trim() === '' ? null : port.parse(text)),
  show: value => (value === null ? '' : String(value)),
  allowed: `${port.allowed}; empty for none`,
  placeholder: port.placeholder,
};

const UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

function showSize(bytes: number): string {
  for (const unit of ['g', 'm', 'k'])
    if (bytes > 0 && bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit.toUpperCase()}iB`;
  return String(bytes);
}

/** Bytes, with an optional k, m or g (also KiB, MB …; always powers of 1024). */
export function size(min: number, max: number): Type<number> {
  return {
    parse(text) {
      const match = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?)i?b?\s*$/i.exec(text);
      if (match === null) throw new Error('is not a size');
      const value = Math.round(Number(match[1]) * UNITS[match[2].toLowerCase()]);
      if (value < min || value > max) throw new Error('is out of range');
      return value;
    },
    show: showSize,
    allowed: `a size from ${showSize(min)} to ${showSize(max)} (bytes; k, m, g for powers of 1024)`,
    placeholder: 'SIZE',
  };
}

const list = (words: readonly string[], last: 'and' | 'or'): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;

/** One of a few words. `synonyms` are taken too, and mean the word they point to. */
export function choice<const T extends string>(
  choices: readonly T[],
  synonyms: Record<string, NoInfer<T>> = {},
): Type<T> {
  return {
    parse(text) {
      const word = text.trim().toLowerCase();
      const found = choices.find(one => one === word) ?? (Object.hasOwn(synonyms, word) && synonyms[word]);
      if (!found) throw new Error('is not one of the choices');
      return found;
    },
    show: String,
    allowed: list(choices, 'or'),
    placeholder: choices.length <= 4 ? choices.join('|') : 'WORD',
    choices,
  };
}

export const boolean: Type<boolean> = {
  parse(text) {
    const word = text.trim().toLowerCase();
    if (['yes', 'true', 'on', '1'].includes(word)) return true;
    if (['no', 'false', 'off', '0'].includes(word)) return false;
    throw new Error('is neither yes nor no');
  },
  show: value => (value ? 'yes' : 'no'),
  allowed: 'yes or no',
  placeholder: 'yes|no',
  choices: ['yes', 'no'],
};

/** Names, separated by commas; empty for none. */
export const names: Type<string[]> = {
  parse: text =>
    text
      .split(',')
      .map(name => name.trim())
      .filter(name => name !== ''),
  show: value => value.join(','),
  allowed: 'names separated by commas',
  placeholder: 'NAME,…',
};

/** A file; empty for none. Whether it can be read is checked when all settings are known. */
export const pemFile: Type<string> = {
  parse: text => text.trim(),
  show: String,
  allowed: 'a file in PEM form',
  placeholder: 'FILE',
};

/** Where a Unix socket is; empty for none. */
export const socketPath: Type<string> = {
  parse(text) {
    const path = text.trim();
    if (path !== '' && path !== 'auto' && !path.startsWith('/')) throw new Error('is no absolute path');
    // sockaddr_un has 108 octets, the last one 0
    if (Buffer.byteLength(path) > 107) throw new Error('is longer than a socket may be named');
    return path;
  },
  show: String,
  allowed: 'auto, or an absolute path of at most 107 octets; empty for none',
  placeholder: 'PATH',
};

/** Where a Unix socket is to be; empty for none. */
export const unixPath: Type<string> = {
  ...socketPath,
  parse(text) {
    if (text.trim() === 'auto') throw new Error('is no absolute path');
    return socketPath.parse(text);
  },
  allowed: 'an absolute path of at most 107 octets',
};

/** What others may do with a file. */
export const fileMode: Type<number> = {
  parse(text) {
    if (!/^\s*0?[0-7]{3}\s*$/.test(text)) throw new Error('is no file mode');
    return Number.parseInt(text, 8);
  },
  show: value => value.toString(8).padStart(4, '0'),
  allowed: 'a file mode such as 0660',
  placeholder: 'MODE',
};

/** A name without blanks; empty for none. */
export const word: Type<string> = {
  parse(text) {
    if (/\s/.test(text.trim())) throw new Error('has blanks in it');
    return text.trim();
  },
  show: String,
  allowed: 'a name',
  placeholder: 'NAME',
};

/** IP addresses and networks (192.0.2.0/24), separated by commas; empty for none. */
export const networks: Type<string[]> = {
  parse(text) {
    const list = names.parse(text);
    for (const one of list) {
      const [, host, prefix = '0'] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(one) ?? [];
      if (host === undefined || isIP(host) === 0)
        throw new Error(`has no IP address or network in it (${printable(one)})`);
      if (Number(prefix) > (isIPv4(host) ? 32 : 128)) throw new Error(`has a network that is none (${one})`);
    }
    return list;
  },
  show: value => value.join(','),
  allowed: 'IP addresses and networks such as 192.0.2.0/24, separated by commas',
  placeholder: 'NETWORK,…',
};

/** @throws Error where the text is neither an IP address nor a name that DNS could know. */
function checkHost(host: string): void {
  if (isIP(host) !== 0) return;
  if (/^[\d.]+$/.test(host) && !isIPv4(host)) throw new Error('is no IPv4 address');
  if (!/^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)*\.?$/u.test(host) || host.length > 255)
    throw new Error('has no valid host name');
}

/** An address to listen on. */
export const address: Type<string> = {
  parse(text) {
    const host = text.trim().replace(/^\[(.*)\]$/, '$1');
    if (host === '') throw new Error('is empty');
    if (isIP(host) === 0 && /:\d+$/.test(host))
      throw new Error('has a port in it, which has a setting of its own');
    checkHost(host);
    return host;
  },
  show: String,
  allowed: 'an IP address or host name (0.0.0.0 or :: for all)',
  placeholder: 'ADDRESS',
};

/** Broker URLs, apart. A comma may be part of a password: where there could be one, only a comma before a scheme counts. */
const urlsOf = (text: string): string[] =>
  text
    .split(text.includes('@') ? /,(?=\s*(?:amqps?:\/\/|$))/i : ',')
    .map(part => part.trim())
    .filter(url => url !== '');

/** scheme, user and password (with their @), host and port, vhost, parameters */
const BROKER_URL = /^(amqps?):\/\/((?:[^/?#]*@)?)([^/?#]*)((?:\/[^?#]*)?)(.*)$/i;

/** `{amqp|amqps}://host[:port]`, several separated by commas. What else a URL can have is each client's own. */
export const brokers: Type<BrokerAddress[]> = {
  parse(text) {
    const urls = urlsOf(text);
    if (urls.length === 0) throw new Error('names no broker');
    return urls.map(parseBroker);
  },
  show: value =>
    value
      .map(
        ({ host, port, tls }) => `${tls ? 'amqps' : 'amqp'}://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      )
      .join(','),
  allowed: '{amqp|amqps}://HOST[:PORT], several separated by commas',
  placeholder: 'AMQP_URL',
  ignored(text) {
    const found = new Set<string>();
    for (const url of urlsOf(text)) {
      const [, , login, , path, query] = BROKER_URL.exec(url) ?? [];
      if (login) found.add('user');
      if (login?.includes(':')) found.add('password');
      if (path && path !== '/') found.add('vhost');
      if (query) found.add('parameters');
    }
    if (found.size === 0) return undefined;
    const words = ['user', 'password', 'vhost', 'parameters'].filter(word => found.has(word));
    const are = words.length === 1 && words[0] !== 'parameters' ? 'is' : 'are';
    return `${list(words, 'and')} ${are} ignored: each client brings its own`;
  },
};

function parseBroker(url: string): BrokerAddress {
  const match = BROKER_URL.exec(url);
  if (match === null) throw new Error('is not an AMQP URL');
  const [, scheme, , authority, path, query] = match;
  if (`${path}${query}`.includes('@'))
    throw new Error(
      'has an @ behind a /, ? or #, so that its host is not clear: leave user, password and vhost out, each client brings its own',
    );
  const tls = scheme.toLowerCase() === 'amqps';
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,6}))?$/.exec(authority);
  if (parts === null) {
    if (isIPv6(authority) || isIPv6(authority.replace(/:\d+$/, '')))
      throw new Error(`has an IPv6 address without brackets: write ${scheme}://[::1]:5672`);
    throw new Error('has no valid host and port');
  }
  const [, v6, name, digits] = parts;
  if (v6 !== undefined && !isIPv6(v6)) throw new Error(`has no IPv6 address in its brackets (${v6})`);
  if (name !== undefined) checkHost(name);
  const number = digits === undefined ? (tls ? 5671 : 5672) : Number(digits);
  if (number < 1 || number > 65535) throw new Error(`has a port that is out of range (${digits})`);
  return { host: v6 ?? name, port: number, tls };
}

/** A text as it may be shown: no user and password of a URL, no control characters, not endless. */
export function printable(text: string): string {
  const at = text.lastIndexOf('@');
  const scheme = text.indexOf('://');
  const start = scheme >= 0 && scheme < at ? scheme + 3 : 0;
  const shown =
    at < 0
      ? // a # in a password begins a comment of the file: what is left of it stands where a port would
        text.replace(/(:\/\/[^:/,\s]+:)(?!\d+(?![^/,\s]))[^:/,\s]+(?![^/,\s])/g, '$1***')
      : `${text.slice(0, start)}***${text.slice(at)}`;
  const line = onOneLine(shown);
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
