# WITHOUT=losses,alarms,offences,visits,tls,numbers,cuts,guests leaves out what is known to fail.
.PHONY: fuzz
fuzz: deps ## Random frames, losses, alarms beside clients that must not notice: make fuzz [MINUTES=5] [SEED=number] [WITHOUT=losses,…]
	@MINUTES=$(or $(MINUTES),5) $(if $(SEED),SEED=$(SEED)) $(if $(WITHOUT),WITHOUT=$(WITHOUT)) $(NODE) test/fuzz/run.ts
