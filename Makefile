# amqproxy: `make help` lists what can be made.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ARCH := $(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
RUNTIME := node_modules/node-linux-$(ARCH)
NODE := $(CURDIR)/$(RUNTIME)/bin/node

FILES ?= 'test/integration/**/*.test.ts'

.PHONY: help install-debs deps build check unit integration test demo docs clean

help: ## Lists the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 24

install-debs: ## Installs what is missing from Debian (root or sudo)
	@packaging/install-debs

node_modules/.complete: package.json package-lock.json packaging/install-debs
	@packaging/install-debs
	npm_config_nodedir= npm ci --ignore-scripts --no-audit --no-fund --loglevel error --no-progress
	@# The addon for systemd, built against the runtime that will load it, and without node-gyp: Debian's links addons with
	@# its own libnode, which brings a second V8 into the process and crashes it. Without the addon the service runs all the same.
	cd node_modules/sd-notify && mkdir -p build/Release && g++ -shared -fPIC -O2 -std=gnu++20 -fno-rtti -fno-exceptions -w \
	  -DNODE_GYP_MODULE_NAME=notify -DBUILDING_NODE_EXTENSION -DUSING_UV_SHARED=1 -DUSING_V8_SHARED=1 -D_FILE_OFFSET_BITS=64 \
	  -I$(CURDIR)/$(RUNTIME)/include/node -o build/Release/notify.node notify.cc -lsystemd || echo "sd-notify was not built"
	touch $@

deps: node_modules/.complete ## Installs npm packages, the pinned runtime among them

build: deps ## Builds dist/amqproxy, a launcher that runs from anywhere
	rm -rf dist/lib dist/amqproxy
	$(NODE) node_modules/typescript/bin/tsc -p packaging/tsconfig.build.json
	@# journald's structured fields need a small addon; without it a line goes to stdout like any other
	cc -shared -fPIC -O2 -I$(RUNTIME)/include/node -Wl,-z,relro,-z,now -o dist/lib/src/journal.node src/journal.c || echo "the journal gets no fields"
	cp package.json dist/lib/
	install -m 755 packaging/launcher dist/amqproxy

check: deps ## Type check, lint and format check
	$(NODE) node_modules/typescript/bin/tsc -p .
	$(NODE) node_modules/@biomejs/biome/bin/biome check

unit: deps ## Unit tests only
	$(NODE) node_modules/mocha/bin/mocha.js --no-config --timeout 60000 --exit 'test/unit/**/*.test.ts'

integration: deps ## Integration tests only; FILES=test/integration/drain.test.ts for one of them
	$(NODE) node_modules/mocha/bin/mocha.js --no-config --require test/support/hooks.ts --timeout 120000 --slow 5000 --exit $(FILES)

test: check ## Type check, lint, unit and integration tests against a real RabbitMQ
	$(NODE) node_modules/mocha/bin/mocha.js --reporter packaging/mocha-reporter.cjs

demo: build ## 1,000 short-lived clients through the proxy and straight to a private RabbitMQ
	@$(NODE) test/demo/demo.ts

docs: deps ## Writes etc/amqproxy.ini and the README's table from the option table
	$(NODE) packaging/docs.ts

clean: ## Removes what was built
	rm -rf dist .cache

# packages, benchmarks, fuzzing and the like: each beside what it runs
-include packaging/*.mk test/*/*.mk
