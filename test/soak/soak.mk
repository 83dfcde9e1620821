.PHONY: soak
soak: deps test-debs ## Clients of all kinds while brokers change, freeze and fail: make soak [MINUTES=5] [SEED=number]
	@MINUTES=$(or $(MINUTES),5) $(if $(SEED),SEED=$(SEED)) $(NODE) test/soak/run.ts
