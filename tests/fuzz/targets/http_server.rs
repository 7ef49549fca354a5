//! A whole server of HTTP, against a client that sends anything, in pieces: nothing of a connection is left when it is over.
#![no_main]

use lariat::ffi::{chain::*, http_request::*, http_response::*, http_server::*, types::*};
use lariat_fuzz::World;
use libfuzzer_sys::fuzz_target;
use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};

extern "C" fn body_read(_: *mut lariat_deferred, _: *mut c_void, request: *mut c_void) -> *mut c_void {
    let request = request.cast::<lariat_http_request>();
    lariat_http_request_respond(request, 200, c"text/plain".as_ptr(), b"x".as_ptr(), 1);
    null_mut()
}

extern "C" fn handle(request: *mut lariat_http_request, _: *mut c_void) -> *mut lariat_deferred {
    assert!(!lariat_http_request_method(request).is_null() && !lariat_http_request_target(request).is_null());
    lariat_http_request_path(request);
    lariat_http_request_host(request);
    lariat_http_request_query_parameter(request, c"a".as_ptr());
    let body = lariat_http_request_read_body(request);
    lariat_deferred_add_callback(body, Some(body_read), request.cast());
    body
}

// The first byte says how long the pieces are, and whether the client ends after them.
fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    let piece = if how & 127 == 0 { usize::MAX } else { usize::from(how & 127) };
    let mut world = World::new(bytes, piece, how & 128 != 0);
    let server = lariat_http_server_new(world.tested, null());
    assert_eq!(lariat_http_server_set_handler(server, Some(handle), null_mut()), 0);
    let endpoint = world.endpoint("tested", 80);
    let text = CString::new(format!("tcp://{endpoint}")).expect("no NUL");
    assert!(!lariat_http_server_listen(server, text.as_ptr()).is_null());
    world.connect(&endpoint);
    let left = world.run();
    assert_eq!((left.transports, left.http_requests, left.deferreds, left.delayed_calls), (0, 0, 0, 0));
});
