//! Gives the shared library its name for the loader, and keeps it loaded once it is.
//!
//! Nothing is said about exports: rustc lists exactly the `#[no_mangle]` functions of a cdylib to the linker, and the
//! install tests check that all of them begin with `lariat_`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let major = variable("CARGO_PKG_VERSION_MAJOR");
    let arguments = match variable("CARGO_CFG_TARGET_OS").as_str() {
        // A thread that still runs our code would crash if dlclose could unload it.
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd" | "dragonfly" => {
            vec![format!("-Wl,-soname,liblariat.so.{major}"), "-Wl,-z,nodelete".to_owned()]
        }
        "macos" => {
            let (minor, patch) = (variable("CARGO_PKG_VERSION_MINOR"), variable("CARGO_PKG_VERSION_PATCH"));
            vec![
                format!("-Wl,-install_name,@rpath/liblariat.{major}.dylib"),
                format!("-Wl,-compatibility_version,{major}.0.0,-current_version,{major}.{minor}.{patch}"),
            ]
        }
        _ => Vec::new(),
    };
    for argument in arguments {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}
