# WITHOUT=losses,alarms,offences,visits,tls,numbers,cuts,guests leaves out what is known to fail. AT=path plays one script of a seed again,
# as the report of a failure says.
.PHONY: fuzz
fuzz: deps broker-debs ## Random frames, losses, alarms beside clients that must not notice: make fuzz [MINUTES=5] [SEED=number] [WITHOUT=losses,…]
	@MINUTES=$(or $(MINUTES),5) $(if $(SEED),SEED=$(SEED)) $(if $(WITHOUT),WITHOUT=$(WITHOUT)) $(if $(AT),AT=$(AT)) $(NODE) test/fuzz/run.ts
