#!/bin/sh
# std_source.sh FOLDER: a rustc with the source of its standard library, so that cargo can build that for any target, as
# FOLDER/rustc. It is unpacked from Debian's packages, nothing is installed. Fails where apt-get does not have them.
set -eu
folder=$1
[ -x "$folder/rustc" ] && exit 0

depends() { apt-cache depends "$1" | sed -n "s/.*Depends: \($2[0-9.]*\)\$/\1/p" | head -n 1; }
std=$(depends libstd-rust-web-dev libstd-rust-web-)
llvm=$(depends "${std:?Debian has no rustc-web here}" libllvm)

rm -rf "$folder"
mkdir -p "$folder/packages"
cd "$folder/packages"
apt-get download -q rustc-web libstd-rust-web-dev "$std" "$llvm" rust-web-src
for package in *.deb; do
    case $package in
        rust-web-src*) dpkg-deb --fsys-tarfile "$package" | tar -x -C .. --wildcards --no-wildcards-match-slash \
            './usr/lib/rustlib' './usr/src/rustc-*/library' ;;
        *) dpkg-deb -x "$package" .. ;;
    esac
done
cd ..
rm -r packages
libraries=$(dirname "$(find "$PWD/usr/lib" -name 'libLLVM*.so*' | head -n 1)")
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/usr/bin/rustc "$@"\n' "$libraries" "$PWD" >wrapper
chmod +x wrapper
./wrapper --version
mv wrapper rustc
