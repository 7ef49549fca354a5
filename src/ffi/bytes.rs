//! Bytes that were read, or a path that was found.

use super::guard;
use super::status::lariat_status;
use super::types::lariat_bytes;
use crate::files::bytes;
use crate::handles::Word;

/// Tells where the bytes are.
///
/// returns  lariat_bytes_length bytes and a NUL behind them, for as long as the lariat_bytes lives; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_bytes_data(bytes: *const lariat_bytes) -> *const u8 {
    guard::on::<_, Word>(bytes, |bytes| Ok(bytes.data())).cast_const().cast()
}

/// Tells how many bytes there are.
///
/// returns  the count, without the NUL; 0 on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_bytes_length(bytes: *const lariat_bytes) -> usize {
    guard::on(bytes, |bytes| Ok(bytes.length()))
}

/// Frees bytes that were taken by lariat_deferred_take, or that nobody will look at any more. Those that were not taken
/// are freed with their Deferred.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_bytes_free(bytes: *mut lariat_bytes) -> lariat_status {
    guard::on(bytes, |bytes| {
        bytes::free(bytes);
        Ok(())
    })
}
