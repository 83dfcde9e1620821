/** What a reload may change. */
import { expect } from 'chai';
import { type Config, defaults, optionNames, optionOf } from '../../src/config/options.ts';
import { reloadedConfig } from '../../src/config/reload.ts';

const running: Config = { ...defaults(), upstream: [{ host: 'a', port: 5672, tls: false }] };
const reload = (changes: Partial<Config>) => reloadedConfig(running, { ...running, ...changes });

/** Another value than the running one. */
function other(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return Array.isArray(value) ? [{ host: 'b', port: 1, tls: true }] : `${value}x`;
}

describe('A reload', () => {
  it('changes nothing when nothing has changed', () => {
    expect(reload({})).to.deep.equal({ config: running, changed: [], waiting: [] });
  });

  for (const name of optionNames) {
    const { key, live } = optionOf(name);
    it(`${live ? 'changes' : 'does not change'} ${key}`, () => {
      const value = other(running[name]);
      const { config, changed, waiting } = reload({ [name]: value });
      expect(config).to.deep.equal(live ? { ...running, [name]: value } : running);
      expect(changed).to.have.length(live ? 1 : 0);
      expect(waiting).to.have.length(live ? 0 : 1);
      expect([...changed, ...waiting][0]).to.match(new RegExp(`^${key} `));
    });
  }

  it('says what was and what is', () => {
    expect(
      reload({
        close: 'instant',
        clientBuffer: 65536,
        tlsCa: '/ca.pem',
        upstream: [{ host: '::1', port: 1, tls: true }],
      }).changed,
    ).to.deep.equal([
      'upstream amqp://a:5672 -> amqps://[::1]:1',
      'tls_ca (none) -> /ca.pem',
      'close barrier -> instant',
      'client_buffer 1MiB -> 64KiB',
    ]);
    expect(reload({ listenPort: 1 }).waiting).to.deep.equal([
      'port changes at the next restart only (5673 -> 1)',
    ]);
  });

  it('leaves the running settings as they are', () => {
    const copy = structuredClone(running);
    reload({ close: 'instant' });
    expect(running).to.deep.equal(copy);
  });
});
