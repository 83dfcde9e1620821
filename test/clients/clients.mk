# The test suites of other projects' clients, fetched at run time: test/clients/suites.ts says from where.
.PHONY: test-clients

test-clients: deps test-debs ## amqplib's, php-amqplib's … own tests, direct and through the proxy [SUITES="amqplib pika"]
	@test/clients/run.sh $(SUITES)
