# No package of this machine has a LavinMQ: says so and skips where none is named.
.PHONY: test-lavinmq
test-lavinmq: deps ## Differential tests on another broker: make test-lavinmq LAVINMQ=/path/to/lavinmq, or LAVINMQ_URL=amqp://127.0.0.1:5672
	@LAVINMQ='$(LAVINMQ)' LAVINMQ_URL='$(LAVINMQ_URL)' NODE='$(NODE)' test/lavinmq/run.sh
