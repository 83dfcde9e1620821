# The package in a booted Debian: needs root, mmdebstrap and systemd-nspawn; says so and skips where it cannot.
.PHONY: test-systemd

test-systemd: ## Installs and runs the package under a real systemd, in a container
	test/systemd/run.sh
