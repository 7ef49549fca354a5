//! Versions of the library and of its ABI.

use super::convert::invalid;
use super::guard::{self, Text};
use super::status::lariat_status;
use std::ffi::{CStr, c_char};

/// The version of the library that this header belongs to: its major part.
pub const LARIAT_VERSION_MAJOR: i32 = 0;
/// Its minor part.
pub const LARIAT_VERSION_MINOR: i32 = 1;
/// Its patch level.
pub const LARIAT_VERSION_PATCH: i32 = 0;
/// The ABI that this header describes; for lariat_check_abi.
pub const LARIAT_ABI_VERSION: i32 = 0;

const VERSION: &CStr = c"0.1.0";

/// Tells the library's version, as text.
///
/// returns  such as "0.1.0"; never NULL, valid for ever.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_version() -> *const c_char {
    guard::alone(|| Ok(Text::from(VERSION)))
}

/// Tells the library's version, as a number that grows with it.
///
/// returns  major * 1000000 + minor * 1000 + patch.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_version_number() -> i32 {
    guard::alone(|| Ok(LARIAT_VERSION_MAJOR * 1_000_000 + LARIAT_VERSION_MINOR * 1_000 + LARIAT_VERSION_PATCH))
}

/// Tells whether the library that runs has the ABI that the program was compiled for. To be called once, first.
///
/// header_abi_version  LARIAT_ABI_VERSION.
/// returns             LARIAT_OK, or LARIAT_ERR_INVALID_ARGUMENT when it has another.
/// thread              any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_check_abi(header_abi_version: i32) -> lariat_status {
    guard::alone(|| {
        if header_abi_version == LARIAT_ABI_VERSION {
            return Ok(());
        }
        Err(invalid(format_args!("the header's ABI is {header_abi_version}, the library's is {LARIAT_ABI_VERSION}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_agree() {
        let parts = format!("{LARIAT_VERSION_MAJOR}.{LARIAT_VERSION_MINOR}.{LARIAT_VERSION_PATCH}");
        assert_eq!(parts, env!("CARGO_PKG_VERSION"));
        assert_eq!(VERSION.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
