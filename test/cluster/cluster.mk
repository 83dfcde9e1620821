.PHONY: test-cluster
test-cluster: deps test-debs ## Clients of all kinds before three RabbitMQ nodes that are stopped, killed, frozen, drained and come back
	@$(NODE) test/cluster/run.ts
