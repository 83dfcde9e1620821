#!/bin/sh
# Debian's names for the libraries that these binaries need, with the oldest version that has all symbols they ask for:
# packaging/depends.sh FILE... What dpkg-shlibdeps says is true for the release it runs on only (>= 2.34 for symbols that
# moved from one library of the C library to another), and it can read no other architecture's.
set -eu
versions() { # SYMBOL PREFIX: the highest one that is asked for
  LC_ALL=C readelf -VW "$@" | sed -n "s/^.*Name: $prefix\([0-9.]*\) .*/\1/p" | sort -V | tail -n 1
}
highest() { prefix=$1; shift; versions "$@"; }
needed=$(LC_ALL=C readelf -dW "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u)
list=
add() { list="$list${list:+, }$1"; }
for library in $needed; do
  case $library in
    libc.so.6) add "libc6 (>= $(highest GLIBC_ "$@"))" ;;
    # parts of libc6
    libm.so.6 | libdl.so.2 | libpthread.so.0 | ld-linux-*) ;;
    libgcc_s.so.1) add 'libgcc-s1 (>= 3.4) | libgcc1' ;;
    libstdc++.so.6)
      # which compiler came with which symbols: https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html
      case $(highest CXXABI_ "$@"):$(highest GLIBCXX_ "$@") in
        1.3.[0-9]:3.4.1[0-9] | 1.3.[0-9]:3.4.2[01]) add 'libstdc++6 (>= 5.1)' ;;
        1.3.1[01]:3.4.1[0-9] | 1.3.[0-9]:3.4.2[234] | 1.3.1[01]:3.4.2[0-4]) add 'libstdc++6 (>= 7.1)' ;;
        1.3.[0-9]:3.4.25 | 1.3.1[01]:3.4.25) add 'libstdc++6 (>= 8)' ;;
        *) echo "which libstdc++6 has $(highest GLIBCXX_ "$@")? Add it to packaging/depends.sh" >&2; exit 1 ;;
      esac ;;
    libatomic.so.1) add 'libatomic1 (>= 4.8)' ;;
    libsystemd.so.0) add "libsystemd0 (>= $(highest LIBSYSTEMD_ "$@"))" ;;
    *) echo "which package has $library? Add it to packaging/depends.sh" >&2; exit 1 ;;
  esac
done
echo "$list"
