# Packages and installation. Fields: DESTDIR, PREFIX, SYSCONFDIR, UNITDIR; SOURCE_DATE_EPOCH (else the last commit's time)
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system

.PHONY: deb rpm packages packages-debs cross-debs repo-debs repo release-check release install uninstall

packages-debs:
	@packaging/install-debs binutils dpkg-dev git xz-utils rpm openssl

# for the architecture that this machine is not
cross-debs:
	@packaging/install-debs $$([ "$$(uname -m)" = aarch64 ] && echo g++-x86-64-linux-gnu || echo g++-aarch64-linux-gnu)

deb: build packages-debs ## Builds dist/amqproxy_VERSION_ARCH.deb; TARGET=arm64 or x64 for another architecture
	packaging/deb.sh

rpm: build packages-debs ## Builds dist/amqproxy-VERSION-1.ARCH.rpm; TARGET=arm64 or x64 for another architecture
	packaging/rpm.sh

packages: build packages-debs cross-debs ## Builds both kinds for both architectures
	TARGET=x64 packaging/deb.sh
	TARGET=x64 packaging/rpm.sh
	TARGET=arm64 packaging/deb.sh
	TARGET=arm64 packaging/rpm.sh

repo-debs:
	@packaging/install-debs apt-utils createrepo-c gnupg rpm

repo: repo-debs ## Signed apt and yum repositories of the packages in dist/: dist/repo [REPO_KEY=fingerprint REPO_URL=https://…]
	@packaging/repo.sh

release-check: repo-debs
	@packaging/release.sh --check

release: release-check packages ## All packages, repositories, checksums and the changelog's section: dist/release [REPO_KEY= REPO_URL= MAINTAINER= HOMEPAGE=]
	@packaging/release.sh

install: build ## Installs below DESTDIR and PREFIX (/usr/local)
	packaging/tree.sh '$(DESTDIR)' '$(PREFIX)' '$(SYSCONFDIR)' '$(UNITDIR)'

uninstall: ## Takes away what install has put there; the settings stay
	-rmdir '$(DESTDIR)$(SYSCONFDIR)/amqproxy.d' 2>/dev/null
	rm -rf '$(DESTDIR)$(PREFIX)/libexec/amqproxy' '$(DESTDIR)$(PREFIX)/share/doc/amqproxy'
	rm -f '$(DESTDIR)$(PREFIX)/bin/amqproxy' '$(DESTDIR)$(UNITDIR)'/amqproxy{.service,.socket,-handover.service} \
	  '$(DESTDIR)$(PREFIX)'/share/man/man8/amqproxy.8.gz '$(DESTDIR)$(PREFIX)'/share/man/man5/amqproxy.ini.5.gz \
	  '$(DESTDIR)$(PREFIX)'/share/bash-completion/completions/amqproxy \
	  '$(DESTDIR)$(PREFIX)'/share/zsh/vendor-completions/_amqproxy \
	  '$(DESTDIR)$(PREFIX)'/share/fish/vendor_completions.d/amqproxy.fish
