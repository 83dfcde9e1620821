#!/bin/sh
# What is published of a version: packages, repositories, checksums, and what the changelog says of it, in dist/release.
# The same bytes from the same commit and key. `make packages` comes first. REPO_KEY, REPO_URL: see packaging/repo.sh.
# --check: only whether it can be made.
set -eu
umask 022
cd "$(dirname "$0")/.."
. packaging/target
. packaging/publisher
. packaging/signing
dist=${DIST:-dist}
[ -z "$(git status --porcelain)" ] || cannot "there are changes that are not committed (git status): a release is made of a commit"
lines=$(printf '%s\n' "$MAINTAINER" | wc -l)
case $lines:$MAINTAINER in 1:?*' <'?*@?*.?*'>') ;; *) cannot "MAINTAINER is 'Jane Doe <jane@example.org>', a name and an address, see packaging/publisher" ;; esac
case $HOMEPAGE in '' | http://?* | https://?*) ;; *) cannot "HOMEPAGE is an address such as https://example.org/amqproxy, or nothing, see packaging/publisher" ;; esac
nobody() {
  case $MAINTAINER in *.invalid\>) echo "make release: these packages name nobody as their maintainer, which is fine to try them. To publish them, put your name and address into packaging/publisher" >&2 ;; esac
}

# the section of this version; of an unreleased one what is new since the last
changes() { awk -v wanted="$1" '/^## /{ on = index($0, "## [" wanted "]") == 1; next } on' CHANGELOG.md | sed -e '/./,$!d'; }
notes=$(changes "$version")
new=$(changes Unreleased)
[ -z "$notes" ] || [ -z "$new" ] ||
  cannot "CHANGELOG.md has changes since $version, as Unreleased: they need a version of their own, there and in package.json"
[ "$notes" ] || notes=$new
[ "$notes" ] || cannot "CHANGELOG.md has no section [$version]: write one"

if [ "${1-}" = --check ]; then
  nobody
  exit 0
fi

packaging/repo.sh >/dev/null
release=$dist/release
rm -rf "$release"
mkdir -p "$release"
for file in "$dist"/amqproxy_"$package_version"_*.deb; do cp "$file" "$release/"; done
# signed, as they are in the repository
for file in "$dist"/repo/yum/*/amqproxy-"$package_version"-1.*.rpm; do cp "$file" "$release/"; done
cp "$dist"/repo/amqproxy.asc "$release/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$dist" -cf "$release/amqproxy-$version-repo.tar" repo
printf '# amqproxy %s\n\n%s\n' "$version" "$notes" >"$release/RELEASE.md"
(cd "$release" && sha256sum -- * >SHA256SUMS && sign --armor --detach-sign -o SHA256SUMS.asc SHA256SUMS)
find "$release" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$release" && ls -l)
nobody
