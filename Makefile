# amqproxy: `make help` lists what can be made.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ARCH := $(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
RUNTIME := node_modules/node-linux-$(ARCH)
NODE := $(CURDIR)/$(RUNTIME)/bin/node

FILES ?= 'test/integration/**/*.test.ts'

# tests start hundreds of proxies: what the runtime has compiled once is there for the next
unit integration test: export NODE_COMPILE_CACHE := $(CURDIR)/.cache/compiled

.PHONY: help build-debs broker-debs test-debs picture-debs deps build check unit integration test demo picture docs clean

help: ## Lists the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 24

# What is missing is installed from Debian (root or sudo): building needs a compiler, headers and npm only, tests need more.
build-debs:
	@packaging/install-debs npm g++ make libsystemd-dev

broker-debs:
	@packaging/install-debs rabbitmq-server

test-debs: broker-debs
	@packaging/install-debs openssl php-cli php-amqplib php-amqp python3-pika tmux zsh fish prometheus? chromium?

node_modules/.complete: package.json package-lock.json | build-debs
	@echo 'installing npm packages, the runtime among them'
	npm_config_nodedir= npm ci --fetch-timeout=60000 --fetch-retries=4 --ignore-scripts --no-audit --no-fund --loglevel error --no-progress
	packaging/addons.sh node_modules/sd-notify/build/Release/notify.node
	touch $@

deps: build-debs node_modules/.complete ## Installs npm packages, the pinned runtime among them

build: deps ## Builds dist/amqproxy, a launcher that runs from anywhere
	rm -rf dist/lib dist/amqproxy
	$(NODE) node_modules/typescript/bin/tsc -p packaging/tsconfig.build.json
	cp src/console/page.html dist/lib/src/console/
	packaging/addons.sh dist/lib/src/journal.node
	cp package.json dist/lib/
	install -m 755 packaging/launcher dist/amqproxy

check: deps ## Type check, lint and format check
	$(NODE) node_modules/typescript/bin/tsc -p .
	$(NODE) node_modules/@biomejs/biome/bin/biome check

unit: deps test-debs ## Unit tests only
	$(NODE) node_modules/mocha/bin/mocha.js --no-config --timeout 60000 --exit 'test/unit/**/*.test.ts'

integration: deps test-debs ## Integration tests only; FILES=test/integration/drain.test.ts for one of them
	$(NODE) node_modules/mocha/bin/mocha.js --no-config --require test/support/hooks.ts --timeout 120000 --slow 5000 --exit $(FILES)

test: check test-debs ## Type check, lint, unit and integration tests against a real RabbitMQ
	$(NODE) node_modules/mocha/bin/mocha.js --reporter packaging/mocha-reporter.cjs

demo: build broker-debs ## 1,000 short-lived clients through the proxy and straight to a private RabbitMQ
	@$(NODE) test/demo/demo.ts

picture-debs: broker-debs
	@packaging/install-debs chromium

picture: deps picture-debs ## The picture of the console's page in the README, from a proxy with a bit of load [PICTURE_SECONDS=120]
	@$(NODE) test/demo/picture.ts

docs: deps ## Writes the example of an INI file, the manual pages and the table of settings from the option table
	$(NODE) packaging/docs.ts

clean: ## Removes what was built
	rm -rf dist .cache

# packages, benchmarks, fuzzing and the like: each beside what it runs
-include packaging/*.mk test/*/*.mk
