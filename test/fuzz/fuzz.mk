.PHONY: fuzz
fuzz: deps broker-debs ## Random frames beside a canary: make fuzz [MINUTES=5] [SEED=number]
	@MINUTES=$(or $(MINUTES),5) $(if $(SEED),SEED=$(SEED)) $(NODE) test/fuzz/run.ts
