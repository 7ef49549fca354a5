//! Routers of HTTP servers: which requests go to which handler.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::types::*;
use crate::handles::Owned;
use crate::protocol::http::server::file::{self, Folder};
use crate::protocol::http::server::{Function, router};
use std::ffi::{c_char, c_void};

/// For lariat_http_router_add_files: a directory without an index.html is answered with a list of what is in it.
pub const LARIAT_HTTP_FILES_LIST: u32 = 1;
/// The same: a directory's index.html is not served for it.
pub const LARIAT_HTTP_FILES_NO_INDEX: u32 = 2;
/// The same: names that begin with a dot are served, too.
pub const LARIAT_HTTP_FILES_HIDDEN: u32 = 4;

/// Makes a router without routes, for lariat_http_server_set_router.
///
/// returns  the router, to be freed by lariat_http_router_free or with its scope or reactor; NULL on failure.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_new(reactor: *mut lariat_reactor) -> *mut lariat_http_router {
    guard::on(reactor, router::new)
}

/// Adds a route. A path that no route has is answered with 404; a method that none of the path's routes has with 405 and
/// the header Allow, OPTIONS with 204 and the same, HEAD by the route of GET.
///
/// method      such as "GET"; "*": any.
/// pattern     a path, as "/users/:id", whose parameter "id" is one segment, not empty; a last segment of "*rest" is all
///             that is left, maybe nothing. lariat_http_request_parameter tells them. Names are compared
///             percent-decoded. Where several patterns fit, the first segment in which they differ decides: a name goes
///             before a parameter, and that before the rest.
/// handler     called for each request.
/// user_data   may be NULL; passed through.
/// errors      LARIAT_ERR_ALREADY_REGISTERED when there is such a route.
/// thread      the reactor's.
/// Twisted     Resource.putChild, in klein's way.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_add(
    router: *mut lariat_http_router,
    method: *const c_char,
    pattern: *const c_char,
    handler: lariat_http_handler_fn,
    user_data: *mut c_void,
) -> lariat_status {
    add(router, method, pattern, handler, convert::borrowed(user_data))
}

/// The same as lariat_http_router_add, with user_data owned by the library from here on: free_user_data(user_data) is
/// called exactly once, when the router is freed and no call of the handler is running, or when this fails.
///
/// free_user_data  may be NULL.
/// thread          the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_add_full(
    router: *mut lariat_http_router,
    method: *const c_char,
    pattern: *const c_char,
    handler: lariat_http_handler_fn,
    user_data: *mut c_void,
    free_user_data: lariat_free_fn,
) -> lariat_status {
    add(router, method, pattern, handler, convert::owned(user_data, free_user_data))
}

fn add(
    router: *mut lariat_http_router,
    method: *const c_char,
    pattern: *const c_char,
    handler: lariat_http_handler_fn,
    data: Owned,
) -> lariat_status {
    guard::on(router, move |router| {
        let call = convert::required("handler", convert::http_handler_fn(handler))?;
        let (method, pattern) = (convert::bytes_text("method", method)?, convert::bytes_text("pattern", pattern)?);
        router::add(router, method, pattern, Function { call, data })
    })
}

/// Serves the files in a directory, as lariat_http_request_respond_file does, to GET and HEAD: nothing outside of it, by
/// whatever path or symbolic link. A directory is answered with its index.html; its path without the slash at the end
/// with a redirection to that with it.
///
/// prefix     the path below which they are, as "/" or "/static".
/// directory  where they are.
/// flags      LARIAT_HTTP_FILES_LIST and so on, or 0.
/// errors     LARIAT_ERR_ALREADY_REGISTERED when there is such a route.
/// thread     the reactor's.
/// Twisted    twisted.web.static.File.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_add_files(
    router: *mut lariat_http_router,
    prefix: *const c_char,
    directory: *const c_char,
    flags: u32,
) -> lariat_status {
    guard::on(router, |router| {
        const ALL: u32 = LARIAT_HTTP_FILES_LIST | LARIAT_HTTP_FILES_NO_INDEX | LARIAT_HTTP_FILES_HIDDEN;
        if flags & !ALL != 0 {
            return Err(invalid(format_args!("flags is {flags}; no flag is that")));
        }
        let folder = Folder {
            root: file::folder(convert::bytes_text("directory", directory)?)?,
            lists: flags & LARIAT_HTTP_FILES_LIST != 0,
            no_index: flags & LARIAT_HTTP_FILES_NO_INDEX != 0,
            hidden: flags & LARIAT_HTTP_FILES_HIDDEN != 0,
        };
        router::add_files(router, convert::bytes_text("prefix", prefix)?, folder)
    })
}

/// Tells how many routes a router has.
///
/// returns  0 or more; negative: an error.
/// thread   the reactor's.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_routes(router: *mut lariat_http_router) -> i64 {
    guard::on(router, |router| router.routes().map(|routes| routes.count() as i64))
}

/// Ends a router: its handlers are not called any more, and servers that have it answer 404. Its handle is stale from
/// here on.
///
/// thread  the reactor's. It may be called from inside of a handler.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_http_router_free(router: *mut lariat_http_router) -> lariat_status {
    guard::on(router, |router| {
        router::free(router);
        Ok(())
    })
}
