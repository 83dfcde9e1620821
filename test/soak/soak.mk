# WITHOUT='errs,strangers,a killed broker' leaves out acts of visitors, the strangers at the TLS listener, and mishaps.
.PHONY: soak
soak: deps test-debs ## Clients of all kinds while brokers change, freeze and fail: make soak [MINUTES=5] [SEED=number] [WITHOUT=act,…]
	@MINUTES=$(or $(MINUTES),5) $(if $(SEED),SEED=$(SEED)) WITHOUT='$(WITHOUT)' $(NODE) test/soak/run.ts
