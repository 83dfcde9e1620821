/** Frames as a test sees them: with names, and the arguments of methods as text and numbers. */
import { METHODS } from '../../src/amqp/methods.ts';
import { decodeTable } from '../../src/amqp/table.ts';

export class Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
  /** Name of the method, "header", "body", "heartbeat", or "protocol-header". */
  readonly name: string;

  constructor(type: number, channel: number, payload: Buffer, name = nameOf(type, payload)) {
    this.type = type;
    this.channel = channel;
    this.payload = payload;
    this.name = name;
  }

  /** A method's arguments in order. */
  get args(): (string | number)[] {
    return this.type === 1
      ? decodeArgs(METHODS.get(this.payload.readInt32BE(0))?.args ?? '', this.payload)
      : [];
  }
}

function nameOf(type: number, payload: Buffer): string {
  switch (type) {
    case 1:
      return (
        METHODS.get(payload.readInt32BE(0))?.name ??
        `method ${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`
      );
    case 2:
      return 'header';
    case 3:
      return 'body';
    case 8:
      return 'heartbeat';
    default:
      return `frame type ${type}`;
  }
}

/** The arguments of a method as text and numbers, following its line in the method table. */
function decodeArgs(spec: string, payload: Buffer): (string | number)[] {
  const args: (string | number)[] = [];
  let at = 4;
  for (const letter of spec)
    switch (letter) {
      case 'o':
      case 'b':
        args.push(payload[at++]);
        break;
      case 's':
        args.push(payload.readUInt16BE(at));
        at += 2;
        break;
      case 'l':
        args.push(payload.readUInt32BE(at));
        at += 4;
        break;
      case 'L':
        args.push(Number(payload.readBigUInt64BE(at)));
        at += 8;
        break;
      case 'S':
        args.push(payload.toString('utf8', at + 1, at + 1 + payload[at]));
        at += 1 + payload[at];
        break;
      case 'T': {
        const end = at + 4 + payload.readUInt32BE(at);
        args.push(JSON.stringify(decodeTable(payload, at, end)));
        at = end;
        break;
      }
      default:
        args.push(payload.toString('latin1', at + 4, at + 4 + payload.readUInt32BE(at)));
        at += 4 + payload.readUInt32BE(at);
    }
  if (at !== payload.length) args.push(`and ${payload.length - at} bytes too many`);
  return args;
}

/** Puts the bytes of one direction together to frames. */
export class FrameReader {
  private input: Buffer = Buffer.alloc(0);
  private readonly take: (frame: Frame, bytes: Buffer) => void;

  /** `take` gets each frame, and its bytes as they came. */
  constructor(take: (frame: Frame, bytes: Buffer) => void) {
    this.take = take;
  }

  read(chunk: Buffer): void {
    this.input = this.input.length > 0 ? Buffer.concat([this.input, chunk]) : chunk;
    while (this.input.length >= 8) {
      const header = this.input.toString('latin1', 0, 4) === 'AMQP';
      const size = header ? 8 : this.input.readUInt32BE(3) + 8;
      if (this.input.length < size) return;
      const bytes = this.input.subarray(0, size);
      this.input = this.input.subarray(size);
      const frame = header
        ? new Frame(0, 0, bytes, 'protocol-header')
        : new Frame(bytes[0], bytes.readUInt16BE(1), bytes.subarray(7, size - 1));
      this.take(frame, bytes);
    }
  }
}
