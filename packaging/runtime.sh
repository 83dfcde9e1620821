#!/bin/sh
# The pinned runtime of another architecture, from npm: .cache/node-linux-TARGET, the bytes that package-lock.json names.
set -eu
cd "$(dirname "$0")/.."
. packaging/target
[ "$TARGET" != "$host" ] || exit 0
name=node-linux-$TARGET
version=$(sed -n "s/^    \"$name\": \"\(.*\)\",\{0,1\}$/\1/p" package.json)
stamp=$runtime/.$version
[ ! -e "$stamp" ] || exit 0
wanted=$(sed -n "/\"node_modules\/$name\": {/,/}/s/.*\"integrity\": \"sha512-\(.*\)\",/\1/p" package-lock.json)
[ -n "$wanted" ] || { echo "package-lock.json names no $name" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# a transfer that stands still is begun anew
for try in 1 2 3; do
  timeout -k 5 60 npm pack --silent --fetch-timeout=30000 --pack-destination "$work" "$name@$version" >/dev/null && break
  [ "$try" -lt 3 ] || { echo "$name $version could not be had from npm" >&2; exit 1; }
done
found=$(openssl dgst -sha512 -binary "$work"/*.tgz | base64 -w 0)
[ "$found" = "$wanted" ] || { echo "$name $version from npm is not what package-lock.json names" >&2; exit 1; }
rm -rf "$runtime"
mkdir -p "$runtime"
tar -xzf "$work"/*.tgz -C "$runtime" --strip-components=1
touch "$stamp"
