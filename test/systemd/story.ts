/**
 * The life of the packages on a machine with systemd: what is in them, install, misuse, use, reload, hang, sockets,
 * upgrade, remove, purge; and the .rpm as far as rpm goes on Debian. run.sh starts it: `story.ts ROOT [life]`, life without what is in them.
 */

import { contents } from './chapters/contents.ts';
import { mistakes } from './chapters/mistakes.ts';
import { installation, theEnd, theOther, theRpm } from './chapters/packages.ts';
import { pages } from './chapters/pages.ts';
import { reloads } from './chapters/reloads.ts';
import { repository } from './chapters/repository.ts';
import { service } from './chapters/service.ts';
import { sockets } from './chapters/sockets.ts';
import { watching } from './chapters/watching.ts';
import { severalWorkers } from './chapters/workers.ts';
import { brokers, counts, machine } from './machine.ts';

let boot = '';
try {
  if (process.argv[3] !== 'life') await contents();
  await machine.boot(text => {
    boot += text;
  });
  await installation();
  await mistakes();
  await service();
  await watching();
  await reloads();
  await severalWorkers();
  await sockets();
  await pages();
  await theEnd();
  await theOther();
  await repository();
  await theRpm();
} catch (error) {
  counts.failed++;
  console.log(`not ok - the container: ${(error as Error).stack}\n${boot.slice(-2000)}`);
} finally {
  await machine.stop();
  for (const broker of brokers) await broker.stop();
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed > 0 ? 1 : 0);
