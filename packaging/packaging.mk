# Packages and installation. Fields: DESTDIR, PREFIX, SYSCONFDIR, UNITDIR; SOURCE_DATE_EPOCH (else the last commit's time)
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system

.PHONY: deb rpm install uninstall

deb: build ## Builds dist/amqproxy_VERSION_ARCH.deb
	@packaging/install-debs binutils dpkg-dev git xz-utils
	packaging/deb.sh

rpm: build ## Builds dist/amqproxy-VERSION-1.ARCH.rpm
	@packaging/install-debs binutils git rpm
	packaging/rpm.sh

install: build ## Installs below DESTDIR and PREFIX (/usr/local)
	packaging/tree.sh '$(DESTDIR)' '$(PREFIX)' '$(SYSCONFDIR)' '$(UNITDIR)'

uninstall: ## Takes away what install has put there; the settings stay
	rm -rf '$(DESTDIR)$(PREFIX)/lib/amqproxy' '$(DESTDIR)$(PREFIX)/share/doc/amqproxy'
	rm -f '$(DESTDIR)$(PREFIX)/bin/amqproxy' '$(DESTDIR)$(UNITDIR)'/amqproxy.{service,socket} \
	  '$(DESTDIR)$(PREFIX)'/share/man/man8/amqproxy.8.gz '$(DESTDIR)$(PREFIX)'/share/man/man5/amqproxy.ini.5.gz \
	  '$(DESTDIR)$(PREFIX)'/share/bash-completion/completions/amqproxy \
	  '$(DESTDIR)$(PREFIX)'/share/zsh/vendor-completions/_amqproxy \
	  '$(DESTDIR)$(PREFIX)'/share/fish/vendor_completions.d/amqproxy.fish
