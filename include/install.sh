#!/bin/sh
# install.sh install | uninstall: called by the Makefile, which sets PREFIX, LIBDIR, INCLUDEDIR, DOCDIR and DESTDIR.
set -eu

# A path given from here is meant from here: what is installed names it in full.
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
PREFIX=$(absolute "$PREFIX") LIBDIR=$(absolute "$LIBDIR") INCLUDEDIR=$(absolute "$INCLUDEDIR") DOCDIR=$(absolute "$DOCDIR")

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}
if [ "$(uname -s)" = Darwin ]; then
    built=liblariat.dylib real=liblariat.$version.dylib loader=liblariat.$major.dylib
else
    built=liblariat.so real=liblariat.so.$version loader=liblariat.so.$major
fi
lib=$DESTDIR$LIBDIR cmake=$DESTDIR$LIBDIR/cmake/lariat doc=$DESTDIR$DOCDIR

# below DIR BASE: DIR as seen from BASE (lib, ../include), or DIR itself where it is not below PREFIX.
below() {
    case $1 in
        "$PREFIX"/*) printf '%s%s' "$2" "${1#"$PREFIX"/}" ;;
        *) printf '%s' "$1" ;;
    esac
}

# fill TEMPLATE TARGET: writes the template with its places filled.
fill() {
    # From LIBDIR/cmake/lariat up to PREFIX; an absolute INCLUDEDIR where LIBDIR is elsewhere.
    up=$(below "$LIBDIR" '' | sed 's|[^/][^/]*|..|g')/../../
    case $LIBDIR in "$PREFIX"/*) include=$(below "$INCLUDEDIR" "$up") ;; *) include=$INCLUDEDIR ;; esac
    sed -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|$major|g" -e "s|@PREFIX@|$PREFIX|g" \
        -e "s|@LIBDIR@|$(below "$LIBDIR" "\${prefix}/")|g" -e "s|@INCLUDEDIR@|$(below "$INCLUDEDIR" "\${prefix}/")|g" \
        -e "s|@INCLUDE_FROM_CMAKE@|$include|g" -e "s|@REAL@|$real|g" -e "s|@LOADER@|$loader|g" "$1" >"$2"
    chmod 644 "$2"
}

install_all() {
    if [ ! -f "target/release/$built" ]; then
        echo "target/release/$built is missing: run make first" >&2
        exit 1
    fi
    install -d "$cmake" "$lib/pkgconfig" "$DESTDIR$INCLUDEDIR" "$doc"
    install -m 755 "target/release/$built" "$lib/$real"
    ln -sf "$real" "$lib/$loader"
    ln -sf "$loader" "$lib/$built"
    install -m 644 target/release/liblariat.a "$lib"
    install -m 644 include/lariat.h "$DESTDIR$INCLUDEDIR"
    install -m 644 LICENSE-MIT LICENSE-APACHE "$doc"
    fill include/lariat.pc.in "$lib/pkgconfig/lariat.pc"
    fill include/cmake/lariatConfig.cmake.in "$cmake/lariatConfig.cmake"
    fill include/cmake/lariatConfigVersion.cmake.in "$cmake/lariatConfigVersion.cmake"
    echo "lariat $version is in $DESTDIR$PREFIX"
}

uninstall_all() {
    rm -f "$lib/$real" "$lib/$loader" "$lib/$built" "$lib/liblariat.a" "$lib/pkgconfig/lariat.pc"
    rm -f "$cmake/lariatConfig.cmake" "$cmake/lariatConfigVersion.cmake" "$DESTDIR$INCLUDEDIR/lariat.h"
    rm -f "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
    rmdir "$cmake" "$doc" 2>/dev/null || true
}

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) echo "usage: install.sh install | uninstall" >&2; exit 2 ;;
esac
