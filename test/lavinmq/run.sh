#!/bin/sh
# The differential cases that are not about RabbitMQ's own words, on the LavinMQ that LAVINMQ (its binary) or LAVINMQ_URL (one
# that runs on this machine, with guest) names. Closes with "0 passed, 0 failed, 1 skipped" where there is none.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${LAVINMQ:-}${LAVINMQ_URL:-}" ]; then
  echo "skipped: name a LavinMQ with LAVINMQ=/path/to/lavinmq or LAVINMQ_URL=amqp://127.0.0.1:PORT"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
if [ "${LAVINMQ:-}" ] && ! [ -x "$LAVINMQ" ]; then
  echo "test-lavinmq: LAVINMQ=$LAVINMQ is no program that can be run" >&2
  exit 1
fi
exec "$NODE" node_modules/mocha/bin/mocha.js --no-config --require test/support/hooks.ts \
  --timeout 60000 --slow 5000 --exit test/integration/differential.test.ts
