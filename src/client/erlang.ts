/** Terms as Erlang's `~p` prints them into a text, broken at the end of a line of 80 (io_lib:format, seen at OTP 25). */

/** The longest line, with what follows a part of it. */
const LINE = 79;
const ESCAPES: Record<number, string> = {
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  27: '\\e',
  34: '\\"',
  92: '\\\\',
};

/** Adds bytes to a text: `<<"text">>` where all can be printed, else `<<1,2,3>>`. */
export function addBytes(text: string, bytes: Buffer): string {
  const column = columnOf(text);
  if (bytes.length > 0 && bytes.every(b => b in ESCAPES || (b >= 0x20 && b <= 0x7e) || b >= 0xa0))
    return `${text}<<"${[...bytes].map(b => ESCAPES[b] ?? String.fromCharCode(b)).join('')}">>`;
  let line = `${text}<<`;
  for (const [i, byte] of bytes.entries()) {
    const part = i < bytes.length - 1 ? `${byte},` : `${byte}`;
    if (columnOf(line) + `${byte},`.length > LINE) line += `\n${' '.repeat(column + 2)}`;
    line += part;
  }
  return `${line}>>`;
}

/** Adds a tuple of an atom and a number. */
export function addPair(text: string, atom: string, number: number): string {
  const column = columnOf(text);
  const whole = `{${atom},${number}}`;
  return text + (column + whole.length < LINE ? whole : `{${atom},\n${' '.repeat(column + 1)}${number}}`);
}

const columnOf = (text: string): number => text.length - text.lastIndexOf('\n') - 1;
