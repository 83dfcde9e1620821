# The packages in a booted Debian: needs root and a kernel that lets systemd-nspawn boot; says so and skips where not.
.PHONY: test-systemd

test-systemd: deb rpm broker-debs test-debs ## Installs and runs the packages under a real systemd, in containers [SUITES='bookworm trixie bullseye']
	test/systemd/run.sh
