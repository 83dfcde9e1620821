/**
 * mocha's spec reporter, with the counts alone on the last line. A run that does not come to its end has failed, and so has a
 * file whose process has gone; mocha says nothing of the former, and not which file it is of the latter.
 */
const { relative } = require('node:path');
const { reporters, Runner } = require('mocha');

module.exports = class extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    this.ended = false;
    process.exitCode = 1;
    process.once('exit', () => {
      if (!this.ended) this.count(1);
    });
    runner.prependListener(Runner.constants.EVENT_TEST_FAIL, (test, error) => {
      if (error?.file) test.title += ` (${relative('', error.file)})`;
    });
  }

  count(lost = 0) {
    const { passes = 0, failures = 0, pending = 0 } = this.stats;
    const skipped = pending > 0 ? `, ${pending} skipped` : '';
    console.log(`${passes} passed, ${failures + lost} failed${skipped}`);
  }

  epilogue() {
    super.epilogue();
    this.ended = true;
    this.count();
  }
};
