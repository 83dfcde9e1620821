/**
 * The broker's frames on their way to clients: the longest run of frames for one client in the chunk at hand goes to it as
 * one slice; a body frame that comes in pieces goes when it is whole.
 */
import { setChannel } from '../amqp/frame.ts';
import { splitBody } from '../amqp/split.ts';
import { keep, release } from '../memory.ts';
import type { Carrier, Peer } from './carrier.ts';
import type { Lease } from './lease.ts';

export class Delivery {
  /** Messages that came from the broker. */
  delivered = 0;
  private readonly upstream: Carrier;
  // the run of frames in the chunk at hand that go to one client
  private runPeer: Peer | null = null;
  private runStart = 0;
  private runEnd = 0;
  private runBuf: Buffer | null = null;
  // the body frame that is passing in pieces
  private openLease: Lease | null = null;
  private openPieces: Buffer[] = [];

  constructor(upstream: Carrier) {
    this.upstream = upstream;
  }

  /** A whole frame at buf[at], or several of which this is the first; it gets the client's channel number. */
  frame(lease: Lease, buf: Buffer, at: number, end: number): void {
    setChannel(buf, at, lease.id);
    const { peer } = lease;
    if (this.runPeer === peer && this.runEnd === at && this.runBuf === buf) {
      this.runEnd = end;
      return;
    }
    this.sendRun();
    this.runPeer = peer;
    this.runBuf = buf;
    this.runStart = at;
    this.runEnd = end;
  }

  /** A body frame that is larger than the client takes. */
  largeBody(lease: Lease, body: Buffer): void {
    this.sendRun();
    this.sendBody(lease, body);
    lease.peer.written(this.upstream);
  }

  private sendBody({ id, peer }: Lease, body: Buffer): void {
    for (const piece of splitBody(id, body, peer.framePayload)) peer.out.write(piece);
  }

  /** Sends the frames that have been scanned but not forwarded yet. */
  sendRun(): void {
    const { runPeer } = this;
    if (runPeer === null) return;
    this.runPeer = null;
    runPeer.out.forward(this.runBuf!.subarray(this.runStart, this.runEnd));
    this.runBuf = null;
    runPeer.written(this.upstream);
  }

  /** A body frame begins that the chunk does not hold to its end; for nobody when `lease` is null. */
  bodyBegins(lease: Lease | null, buf: Buffer, at: number, end: number): void {
    this.openLease = lease;
    if (lease === null) return;
    setChannel(buf, at, lease.id);
    this.openPieces.push(keep(buf.subarray(at, end)));
  }

  bodyPart(buf: Buffer, at: number, end: number, last: boolean): void {
    const lease = this.openLease;
    if (lease === null) return;
    this.openPieces.push(keep(buf.subarray(at, end)));
    if (!last) return;
    const pieces = this.openPieces;
    this.openPieces = [];
    this.openLease = null;
    // the client may have opened its channel anew: this is not for that one
    if (lease.over) pieces.forEach(release);
    else this.sendPieces(lease, pieces);
  }

  private sendPieces(lease: Lease, pieces: Buffer[]): void {
    const { peer } = lease;
    const size = pieces[0].length >= 7 ? pieces[0].readUInt32BE(3) : Buffer.concat(pieces).readUInt32BE(3);
    if (size > peer.framePayload) {
      const whole = Buffer.concat(pieces);
      pieces.forEach(release);
      this.sendBody(lease, whole.subarray(7, whole.length - 1));
    } else for (const piece of pieces) peer.out.write(piece);
    peer.written(this.upstream);
  }

  /** The connection is lost: what was on its way stays incomplete. */
  close(): void {
    this.openPieces.forEach(release);
    this.openPieces = [];
    this.openLease = null;
    this.runPeer = null;
    this.runBuf = null;
  }
}
