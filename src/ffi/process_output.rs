//! What a process has written, and how it has ended.

use super::convert;
use super::guard;
use super::process::told;
use super::status::lariat_status;
use super::types::*;
use crate::platform::Exit;
use crate::process::output;

/// Shows what a process has written to one of its descriptors.
///
/// child_fd  1 is its standard output, and all of a terminal; 2 its standard error.
/// data      written: where it is, for as long as the output lives.
/// len       written: how many bytes.
/// errors    LARIAT_ERR_INVALID_ARGUMENT when nothing was collected from that descriptor.
/// thread    the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_output_data(
    output: *const lariat_process_output,
    child_fd: i32,
    data: *mut *const u8,
    len: *mut usize,
) -> lariat_status {
    guard::on(output, |output| {
        let (data, len) = (convert::out("data", data)?, convert::out("len", len)?);
        let (place, length) = output.written(child_fd)?;
        data.write(place.pointer::<u8>().cast_const());
        len.write(length);
        Ok(())
    })
}

/// Tells the code that the process has ended with.
///
/// code    written: 0 to 255; -1 if it was ended by a signal. May be NULL.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_output_exit_code(
    output: *const lariat_process_output,
    code: *mut i32,
) -> lariat_status {
    guard::on(output, |output| told(output.exit(), code, |exit| if let Exit::Code(code) = exit { code } else { -1 }))
}

/// Tells the signal that the process was ended by.
///
/// signal  written: its number; 0 if it has ended by itself. May be NULL.
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_output_exit_signal(
    output: *const lariat_process_output,
    signal: *mut i32,
) -> lariat_status {
    guard::on(output, |output| {
        told(output.exit(), signal, |exit| if let Exit::Signal(number, _) = exit { number } else { 0 })
    })
}

/// Frees output that was taken from its Deferred; else its Deferred frees it.
///
/// thread  the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_output_free(output: *mut lariat_process_output) -> lariat_status {
    guard::on(output, |output| {
        output::free(output);
        Ok(())
    })
}
