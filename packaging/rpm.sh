#!/bin/sh
# Builds dist/amqproxy-VERSION-1.ARCH.rpm, the same bytes from the same commit. `make build` comes first.
# TARGET: for another architecture. DIST: another directory than dist/.
set -eu
umask 022
cd "$(dirname "$0")/.."
. packaging/target
. packaging/publisher
dist=${DIST:-dist}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging/tree.sh "$work/tree" /usr /etc /usr/lib/systemd/system
share=$work/tree/usr/share
# rpm's distributions look for zsh and licences elsewhere
mv "$share/zsh/vendor-completions" "$share/zsh/site-functions"
mkdir -p "$share/licenses/amqproxy"
mv "$share/doc/amqproxy/copyright" "$share/licenses/amqproxy/LICENSE"
(
  cd "$work/tree"
  find . -type f -o -type l | sed 's/^\.\(.*\)/"\1"/' | LC_ALL=C sort |
    sed 's#^"/etc/amqproxy.ini"$#%config(noreplace) &#; s#^"/usr/share/licenses/.*#%license &#; s#^"/usr/share/\(man\|doc\)/.*#%doc &#'
  find etc/amqproxy.d usr/libexec/amqproxy usr/share/doc/amqproxy usr/share/licenses/amqproxy -type d |
    sed 's#.*#%dir "/&"#' | LC_ALL=C sort
) >"$work/files"

rpmbuild -bb --quiet --target "$rpm_arch" \
  --define "_topdir $work/rpm" --define "_rpmdir $work/out" --define "_dbpath $work/db" \
  --define "version $package_version" --define "epoch $epoch" --define "maintainer $MAINTAINER" \
  ${HOMEPAGE:+--define "homepage $HOMEPAGE"} \
  --define "tree $work/tree" --define "filelist $work/files" \
  --define "changelogdate $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
  --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
  --define '_buildhost localhost' --define "_binary_payload ${RPM_PAYLOAD:-w6.xzdio}" \
  packaging/amqproxy.spec
mkdir -p "$dist"
rm -f "$dist"/amqproxy-*."$rpm_arch".rpm
mv "$work/out/$rpm_arch"/*.rpm "$dist/"
file=$(ls "$dist"/amqproxy-*."$rpm_arch".rpm)
echo "$file $(stat -c %s "$file") bytes"
