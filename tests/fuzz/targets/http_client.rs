//! A client of HTTP, against a server that answers anything, in pieces: its request ends, and nothing of it is left.
#![no_main]

use lariat::ffi::{chain::*, http_agent::*, http_agent_options::*, http_agent_response::*, outcome::*, types::*};
use lariat_fuzz::World;
use libfuzzer_sys::fuzz_target;
use std::ffi::{CString, c_void};
use std::ptr::null_mut;

extern "C" fn answered(deferred: *mut lariat_deferred, response: *mut c_void, _: *mut c_void) -> *mut c_void {
    let body = lariat_http_response_read_body(response.cast::<lariat_http_response>(), 100_000);
    lariat_deferred_wait_for(deferred, body)
}

extern "C" fn over(_: *mut lariat_deferred, _: *mut c_void, ended: *mut c_void) -> *mut c_void {
    // SAFETY: it outlives the reactor.
    unsafe { *ended.cast::<u32>() += 1 };
    null_mut()
}

extern "C" fn failed(deferred: *mut lariat_deferred, _: *const lariat_failure, ended: *mut c_void) -> *mut c_void {
    over(deferred, null_mut(), ended)
}

// The first byte says how long the pieces are, and whether the server ends after them.
fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    let piece = if how & 127 == 0 { usize::MAX } else { usize::from(how & 127) };
    let mut ended = 0u32;
    let mut world = World::new(bytes, piece, how & 128 != 0);
    let endpoint = world.endpoint("peer", 80);
    world.listen(&endpoint);
    // SAFETY: plain numbers and pointers, which are filled at once.
    let mut options: lariat_http_agent_options = unsafe { std::mem::zeroed() };
    assert_eq!(lariat_http_agent_options_init(&mut options, size_of::<lariat_http_agent_options>() as u32), 0);
    options.flags = LARIAT_HTTP_AGENT_COOKIES;
    options.total_seconds = 300.0;
    let agent = lariat_http_agent_new(world.tested, &options);
    let url = CString::new(format!("http://{endpoint}/")).expect("no NUL");
    let answer = lariat_http_agent_get(agent, url.as_ptr());
    let place = (&raw mut ended).cast::<c_void>();
    lariat_deferred_add_callback(answer, Some(answered), null_mut());
    lariat_deferred_add_callbacks(answer, Some(over), Some(failed), place);
    lariat_deferred_release(answer);
    let left = world.run();
    assert_eq!(ended, 1);
    assert_eq!((left.transports, left.http_exchanges, left.http_responses, left.deferreds), (0, 0, 0, 0));
});
