#!/bin/sh
# Makes a signed apt repository and a signed yum repository of the packages in dist/, as static files for any web server:
# dist/repo. The same bytes from the same packages and key.
#   REPO_KEY  fingerprint or address of the key to sign with, in GnuPG's key ring (GNUPGHOME)
#   REPO_URL  where it will be served; else the directory itself, to try it on this machine
#   DIST      another directory than dist/
set -eu
umask 022
cd "$(dirname "$0")/.."
. packaging/target
dist=${DIST:-dist}

. packaging/signing
ls "$dist"/amqproxy_*.deb "$dist"/amqproxy-*.rpm >/dev/null 2>&1 || cannot "there are no packages in $dist: make packages builds them"

repo=$PWD/$dist/repo
case $dist in /*) repo=$dist/repo ;; esac
url=${REPO_URL:-file://$repo}
url=${url%/}
new=$repo.new
rm -rf "$new"
mkdir -p "$new"
trap 'rm -rf "$new"' EXIT
gpg --batch --export "$key" >"$new/amqproxy.gpg"
gpg --batch --armor --export "$key" >"$new/amqproxy.asc"

# ---- apt
(
  mkdir -p "$new/apt/pool"
  cp "$dist"/amqproxy_*.deb "$new/apt/pool/"
  cd "$new/apt"
  for arch in amd64 arm64; do
    packages=dists/stable/main/binary-$arch
    mkdir -p "$packages"
    apt-ftparchive --arch "$arch" packages pool >"$packages/Packages"
    gzip -9nk "$packages/Packages"
  done
  apt-ftparchive -o APT::FTPArchive::Release::Origin=amqproxy -o APT::FTPArchive::Release::Label=amqproxy \
    -o APT::FTPArchive::Release::Suite=stable -o APT::FTPArchive::Release::Codename=stable \
    -o APT::FTPArchive::Release::Architectures='amd64 arm64' -o APT::FTPArchive::Release::Components=main \
    release dists/stable | sed "s/^Date: .*/Date: $(LC_ALL=C date -uR -d "@$SOURCE_DATE_EPOCH")/" >"$new/Release"
  mv "$new/Release" dists/stable/Release
  sign --clearsign -o dists/stable/InRelease dists/stable/Release
  sign --armor --detach-sign -o dists/stable/Release.gpg dists/stable/Release
)

# ---- yum and dnf
for arch in x86_64 aarch64; do
  to=$new/yum/$arch
  mkdir -p "$to"
  for file in "$dist"/amqproxy-*."$arch".rpm; do
    [ -e "$file" ] || continue
    cp "$file" "$to/"
    quietly env GPG_TTY=/dev/null rpmsign --define "_gpg_name $key" --define "__gpg $(command -v gpg)" \
      --define "_gpg_sign_cmd_extra_args $faked" --addsign "$to/$(basename "$file")" >/dev/null
    touch -d "@$SOURCE_DATE_EPOCH" "$to/$(basename "$file")"
  done
  createrepo_c --quiet --no-database --revision "$SOURCE_DATE_EPOCH" --set-timestamp-to-revision "$to"
  sign --armor --detach-sign -o "$to/repodata/repomd.xml.asc" "$to/repodata/repomd.xml"
done
cat >"$new/amqproxy.repo" <<REPO
[amqproxy]
name=amqproxy
baseurl=$url/yum/\$basearch
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=$url/amqproxy.asc
REPO

cat >"$new/INSTALL.md" <<TEXT
# Install amqproxy

Debian, Ubuntu:

    curl -fsSo /usr/share/keyrings/amqproxy.gpg $url/amqproxy.gpg
    echo "deb [signed-by=/usr/share/keyrings/amqproxy.gpg] $url/apt stable main" >/etc/apt/sources.list.d/amqproxy.list
    apt-get update && apt-get install -y amqproxy

Red Hat, Fedora, Amazon Linux:

    curl -fsSo /etc/yum.repos.d/amqproxy.repo $url/amqproxy.repo
    dnf install -y amqproxy

The key is $key.
TEXT
find "$new" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -rf "$repo"
mv "$new" "$repo"
cat "$repo/INSTALL.md"
