#!/bin/sh
# Builds dist/amqproxy-VERSION-1.ARCH.rpm, the same bytes from the same commit. `make build` comes first.
# DIST: another directory than dist/.
set -eu
umask 022
cd "$(dirname "$0")/.."
dist=${DIST:-dist}
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json | tr - '~')
arch=$(uname -m)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packaging/tree.sh "$work/tree" /usr /etc /usr/lib/systemd/system
# rpm's distributions look for zsh and licences elsewhere
if [ -d "$work/tree/usr/share/zsh" ]; then mv "$work/tree/usr/share/zsh/vendor-completions" "$work/tree/usr/share/zsh/site-functions"; fi
mkdir -p "$work/tree/usr/share/licenses/amqproxy"
mv "$work/tree/usr/share/doc/amqproxy/copyright" "$work/tree/usr/share/licenses/amqproxy/LICENSE"
rm -rf "$work/tree/usr/share/doc"
(
  cd "$work/tree"
  find . -type f -o -type l | sed 's/^\.\(.*\)/"\1"/' | LC_ALL=C sort |
    sed 's#^"/etc/amqproxy.ini"$#%config(noreplace) &#; s#^"/usr/share/licenses/.*#%license &#; s#^"/usr/share/man/.*#%doc &#'
  find usr/lib/amqproxy -type d | sed 's#.*#%dir "/&"#' | LC_ALL=C sort
) >"$work/files"

rpmbuild -bb --quiet --target "$arch" \
  --define "_topdir $work/rpm" --define "_rpmdir $work/out" --define "_dbpath $work/db" \
  --define "version $version" --define "tree $work/tree" --define "filelist $work/files" \
  --define "changelogdate $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
  --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
  --define '_buildhost localhost' --define "_binary_payload ${RPM_PAYLOAD:-w6.xzdio}" \
  packaging/amqproxy.spec
mkdir -p "$dist"
rm -f "$dist"/amqproxy-*."$arch".rpm
mv "$work/out/$arch"/*.rpm "$dist/"
file=$(ls "$dist"/amqproxy-*."$arch".rpm)
echo "$file $(stat -c %s "$file") bytes"
