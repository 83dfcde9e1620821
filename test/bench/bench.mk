# Benchmarks. They need HAProxy as the yardstick; Debian has it.
.PHONY: bench bench-old bench-readme bench-quick bench-workers haproxy

haproxy:
	@packaging/install-debs haproxy

bench: build broker-debs haproxy ## amqproxy beside no proxy, HAProxy and BENCH_PEER=127.0.0.1:port[,pid]; BENCH_ARGS='--only publish-1k'
	@BENCH_BUILT=1 $(NODE) test/bench/run.ts --json dist/bench.json --svg dist/bench.svg $(BENCH_ARGS)

bench-old: build broker-debs ## This build against another: make bench-old BENCH_OLD=path/to/dist [BENCH_ARGS='--rounds 9 --only cycle-8']
	@BENCH_BUILT=1 BENCH_OLD=$(BENCH_OLD) $(NODE) test/bench/run.ts --contenders before,amqproxy --reference before --rounds 7 \
	  --only publish-16,publish-1k,publish-64k,consume-1k,confirm,cycle-8,cycle-32 --json dist/bench-old.json $(BENCH_ARGS)

bench-readme: deps ## Puts the figures and the chart of the last `make bench` into packaging/doc/performance.md
	@$(NODE) test/bench/readme.ts

bench-quick: deps broker-debs haproxy ## The working tree against the last commit: fails on a clear loss of speed
	@$(NODE) test/bench/quick.ts

bench-workers: build ## What several workers do compared with one, each held to a fifth of a core, as root [WORKERS=1,2,4 ROUNDS=9]
	@BENCH_BUILT=1 $(if $(filter 0,$(shell id -u)),,sudo -E) $(NODE) test/bench/workers.ts
