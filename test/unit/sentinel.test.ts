/** Who is asked whether a broker is still there. */
import { expect } from 'chai';
import { watch } from '../../src/proxy/sentinel.ts';

interface State {
  lastRead?: number;
  busy?: number;
  pending?: number;
  suspect?: boolean;
  over?: boolean;
}

/** The numbers of those who were asked, and whether they are to be given up together, at 10 s. */
function asked(...states: State[]): string {
  const seen: string[] = [];
  const upstreams = states.map(
    ({ lastRead = 9900, busy = 1, pending = 0, suspect = false, over = false }, n) => ({
      busy,
      holder: null,
      transport: { heartbeat: { lastRead }, out: { pending } },
      silence: {
        suspect,
        over,
        ask: () => seen.push(String(n)),
        giveUpTogether: () => {
          seen.push(`${n} together`);
        },
      },
    }),
  );
  watch(upstreams as unknown as Parameters<typeof watch>[0], 10_000);
  return seen.join(', ');
}

describe('A broker', () => {
  it('of which something was heard is not asked', () => {
    expect(asked({ lastRead: 0 }, { lastRead: 9500 })).to.equal('');
  });

  it('that is quiet is asked once, where nothing waits to be taken', () => {
    expect(asked({ lastRead: 0, pending: 5 }, { lastRead: 8000 })).to.equal('1');
  });

  it('that has nothing to do is not asked', () => {
    expect(asked({ lastRead: 0, busy: 0 })).to.equal('');
  });

  it('that is late is asked everywhere, and given up together where nothing was heard of it', () => {
    expect(asked({ lastRead: 0, suspect: true, over: true }, { lastRead: 9000 })).to.equal('0, 1');
    expect(asked({ lastRead: 0, suspect: true }, { lastRead: 0, busy: 0 })).to.equal('0, 1');
    expect(asked({ lastRead: 0, suspect: true, over: true }, { lastRead: 0 })).to.equal(
      '0, 0 together, 1, 1 together',
    );
  });
});
