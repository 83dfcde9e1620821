# A newer broker than this machine's: needs root and mmdebstrap; says so and skips where it cannot.
.PHONY: test-rabbitmq4

test-rabbitmq4: deps test-debs ## Differential and blast-radius tests on a RabbitMQ 4 [RABBITMQ4=trixie, a Debian suite]
	@test/rabbitmq4/run.sh $(RABBITMQ4)
