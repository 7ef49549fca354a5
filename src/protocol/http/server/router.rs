//! From method and path to a handler.
//!
//! A pattern is a path: "/users/:id/files/*rest" has a parameter `id`, which is one segment and not empty, and `rest`, which is all that
//! is left, maybe nothing, and comes last. Where several patterns fit, the first segment that differs decides: a name before a
//! parameter before a rest.

use super::file::{self, Folder};
use super::message::{Message, decode_into};
use super::request::{self, Request, flag};
use super::{Function, Handler, answer};
use crate::handles::{Body, Item, Kind};
use crate::protocol::http::Fields;
use crate::protocol::http::fields::is_token;
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Segment {
    /// In the order in which they are preferred.
    Name(Vec<u8>),
    Parameter(Vec<u8>),
    Rest(Vec<u8>),
}

#[derive(Clone)]
enum Way {
    Function(Rc<Function>),
    Files(Rc<Folder>),
    /// To the same path with a slash at its end.
    Slash,
}

struct Route {
    /// Empty: any.
    method: Vec<u8>,
    pattern: Vec<Segment>,
    way: Way,
}

/// What a router has: its servers share it.
#[derive(Default)]
pub struct Routes {
    list: RefCell<Vec<Route>>,
}

impl Routes {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.borrow().len()
    }
}

/// A router, as a handle.
#[derive(Default)]
pub struct Router {
    routes: RefCell<Option<Rc<Routes>>>,
    scope: Cell<u32>,
}

impl Body for Router {
    const KIND: Kind = Kind::HttpRouter;
    const SLOTS: u32 = 8;
    type Root = Reactor;
    type Beside = ();

    fn end(router: Item<Self>) {
        free(router);
    }
}

/// A router without routes.
pub fn new(reactor: ReactorItem) -> Result<Item<Router>> {
    reactor.check_open()?;
    let router = reactor.pools.alloc::<Router>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, router.word()).inspect_err(|_| reactor.pools.free(router))?;
    }
    router.scope.set(scope);
    *router.routes.borrow_mut() = Some(Rc::default());
    Ok(router)
}

/// Ends it: its handlers are not called any more.
pub fn free(router: Item<Router>) {
    let reactor = router.root();
    let routes = router.routes.take();
    let scope = router.scope.get();
    reactor.pools.free(router);
    if let Some(routes) = routes {
        let list = routes.list.take();
        let _out = reactor.call_out();
        reactor.in_scope(scope, || drop(list));
    }
}

impl Router {
    /// What its servers share.
    pub fn routes(&self) -> Result<Rc<Routes>> {
        self.routes.borrow().clone().ok_or(Status::ERR_CLOSED)
    }
}

/// Adds a route to a function. `method`: "*" is any.
pub fn add(router: Item<Router>, method: &[u8], pattern: &[u8], function: Function) -> Result {
    add_route(router, method, pattern, Way::Function(Rc::new(function)))
}

/// Adds routes to all that is in a folder, below a path.
pub fn add_files(router: Item<Router>, prefix: &[u8], folder: Folder) -> Result {
    let folder = Rc::new(folder);
    let Some(bare) = prefix.strip_suffix(b"/") else {
        add_route(router, b"GET", &[prefix, b"/*path"].concat(), Way::Files(folder))?;
        // Without its slash it is a folder like any other.
        return add_route(router, b"GET", prefix, Way::Slash);
    };
    add_route(router, b"GET", &[bare, b"/*path"].concat(), Way::Files(folder))
}

fn add_route(router: Item<Router>, method: &[u8], pattern: &[u8], way: Way) -> Result {
    let method = if method == b"*" { &[] } else { method };
    if !method.is_empty() && !is_token(method) {
        return Err(refused(format_args!("\"{}\" is no method", method.escape_ascii())));
    }
    let route = Route { method: method.to_vec(), pattern: parse(pattern)?, way };
    let routes = router.routes()?;
    let mut list = routes.list.borrow_mut();
    let same =
        |other: &Route| other.method == route.method && compare(&other.pattern, &route.pattern) == Ordering::Equal;
    if list.iter().any(same) {
        let (method, pattern) = (method.escape_ascii(), pattern.escape_ascii());
        return Err(Status::ERR_ALREADY_REGISTERED.because(format_args!("there is a route for {method} {pattern}")));
    }
    list.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
    // The preferred ones first, so that the first that fits is the one.
    let place = list.partition_point(|other| compare(&other.pattern, &route.pattern) != Ordering::Greater);
    list.insert(place, route);
    Ok(())
}

/// Whether two patterns are the same but for the names of their parameters, and which is preferred.
fn compare(one: &[Segment], other: &[Segment]) -> Ordering {
    let rank = |segment: &Segment| match segment {
        Segment::Name(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Rest(_) => 2,
    };
    for (one, other) in one.iter().zip(other) {
        let order = match (one, other) {
            (Segment::Name(one), Segment::Name(other)) => one.cmp(other),
            _ => rank(one).cmp(&rank(other)),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    one.len().cmp(&other.len())
}

fn refused(why: impl std::fmt::Display) -> Status {
    Status::ERR_INVALID_ARGUMENT.because(why)
}

fn parse(pattern: &[u8]) -> Result<Vec<Segment>> {
    let bad = |why: &str| refused(format_args!("the pattern \"{}\": {why}", pattern.escape_ascii()));
    let rest = pattern.strip_prefix(b"/").ok_or_else(|| bad("it does not begin with a slash"))?;
    let mut segments = Vec::new();
    let mut names = Vec::new();
    for segment in rest.split(|byte| *byte == b'/') {
        if matches!(segments.last(), Some(Segment::Rest(_))) {
            return Err(bad("something comes after the rest"));
        }
        let (segment, name) = match segment {
            [b':', name @ ..] => (Segment::Parameter(name.to_vec()), Some(name)),
            [b'*', name @ ..] => (Segment::Rest(name.to_vec()), Some(name)),
            name => (Segment::Name(name.to_vec()), None),
        };
        if let Some(name) = name {
            if name.is_empty() || names.contains(&name) {
                return Err(bad("a parameter has no name, or another's"));
            }
            names.push(name);
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// The parameters that a pattern finds in a path, which is without its first slash; None: it does not fit.
fn fit<'a>(pattern: &'a [Segment], path: &[u8]) -> Option<Vec<(&'a [u8], Vec<u8>)>> {
    let mut found = Vec::new();
    let mut rest = Some(path);
    for segment in pattern {
        let here = rest?;
        if let Segment::Rest(name) = segment {
            found.push((&name[..], decoded(here)?));
            return Some(found);
        }
        let (part, behind) = match memchr::memchr(b'/', here) {
            Some(at) => (&here[..at], Some(&here[at + 1..])),
            None => (here, None),
        };
        rest = behind;
        match segment {
            Segment::Name(name) if memchr::memchr(b'%', part).is_none() => (name == part).then_some(())?,
            Segment::Name(name) => (*name == decoded(part)?).then_some(())?,
            Segment::Parameter(_) if part.is_empty() => return None,
            Segment::Parameter(name) | Segment::Rest(name) => found.push((&name[..], decoded(part)?)),
        }
    }
    rest.is_none().then_some(found)
}

fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    decode_into(&mut out, text, false).then_some(out)
}

/// The methods of those whose path fits, for Allow.
fn allowed(list: &[Route], path: Option<&[u8]>) -> Vec<u8> {
    let mut methods: Vec<&[u8]> = Vec::new();
    let fitting = list.iter().filter(|route| path.is_none_or(|path| fit(&route.pattern, path).is_some()));
    for method in fitting.map(|route| &route.method[..]) {
        let more: &[&[u8]] = match method {
            b"GET" => &[b"GET", b"HEAD"],
            method => &[method],
        };
        for method in more {
            if !methods.contains(method) && !method.is_empty() {
                methods.push(method);
            }
        }
    }
    if !methods.contains(&&b"OPTIONS"[..]) {
        methods.push(b"OPTIONS");
    }
    methods.join(&b", "[..])
}

enum Routed {
    To(Way),
    Allow(u16, Vec<u8>),
    Nowhere,
}

fn find(list: &[Route], message: &mut Message) -> Routed {
    let mut route = std::mem::take(&mut message.route);
    let routed = find_into(list, message, &mut route);
    message.route = route;
    routed
}

fn find_into(list: &[Route], message: &Message, parameters: &mut Fields) -> Routed {
    let method = message.method();
    let Some(path) = message.raw_path().strip_prefix(b"/") else {
        // "OPTIONS *" asks for all that there is.
        return match method {
            b"OPTIONS" => Routed::Allow(204, allowed(list, None)),
            _ => Routed::Nowhere,
        };
    };
    let mut fits = false;
    for route in list {
        let Some(found) = fit(&route.pattern, path) else { continue };
        fits = true;
        let by_get = method == b"HEAD" && route.method == b"GET";
        if route.method == method || route.method.is_empty() || by_get {
            for (name, value) in &found {
                let _ = parameters.push(name, value);
            }
            return Routed::To(route.way.clone());
        }
    }
    match fits {
        true => Routed::Allow(if method == b"OPTIONS" { 204 } else { 405 }, allowed(list, Some(path))),
        false => Routed::Nowhere,
    }
}

/// Has the request handled by whom its method and path say.
pub(super) fn route(request: Item<Request>, routes: &Rc<Routes>) {
    let routed = request.with(|message| find(&routes.list.borrow(), message)).unwrap_or(Routed::Nowhere);
    match routed {
        Routed::To(Way::Function(function)) => answer::call(request, &Handler::Function(function)),
        Routed::To(Way::Files(folder)) => serve(request, &folder),
        Routed::To(Way::Slash) => drop(file::to_folder(request)),
        Routed::Allow(code, methods) => {
            let _ = request::set_field(request, b"Allow", &methods, false);
            if code == 204 {
                let _ = request::respond(request, code, None, &[]);
            } else {
                answer::plain(request, code);
            }
        }
        Routed::Nowhere => answer::plain(request, 404),
    }
}

fn serve(request: Item<Request>, folder: &Folder) {
    // A slash that was encoded is no separator, and in no file's name.
    let segments =
        request.with(|message| message.raw_path().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2f")));
    let path = request.with(|message| message.parameter(b"path").map(<[u8]>::to_vec)).flatten();
    match path.filter(|_| segments == Some(false)) {
        Some(path) => {
            if let Err(why) = file::respond_below(request, folder, path) {
                request.clear(flag::PROMISED);
                answer::failed(request, why.0, crate::status::detail_of(why).as_deref());
            }
        }
        None => answer::plain(request, 404),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, path: &str) -> Option<String> {
        let pattern = parse(pattern.as_bytes()).expect(pattern);
        let found = fit(&pattern, path.strip_prefix('/').expect(path).as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(found.iter().map(|(name, value)| format!("{}={} ", text(name), text(value))).collect())
    }

    #[test]
    fn a_pattern_fits_whole_paths() {
        for (pattern, path, found) in [
            ("/", "/", Some("")),
            ("/", "/a", None),
            ("/a", "/a", Some("")),
            ("/a", "/%61", Some("")),
            ("/a", "/a/", None),
            ("/a/", "/a", None),
            ("/a/", "/a/", Some("")),
            ("/users/:id", "/users/7", Some("id=7 ")),
            ("/users/:id", "/users/", None),
            ("/users/:id", "/users/7/x", None),
            ("/users/:id", "/users/a%2Fb%20c", Some("id=a/b c ")),
            ("/users/:id/files/*rest", "/users/7/files/", Some("id=7 rest= ")),
            ("/users/:id/files/*rest", "/users/7/files/a/b", Some("id=7 rest=a/b ")),
            ("/users/:id/files/*rest", "/users/7/files", None),
            ("/*all", "/", Some("all= ")),
            ("/x/:a", "/x/%zz", None),
        ] {
            assert_eq!(fits(pattern, path).as_deref(), found, "{pattern} {path}");
        }
    }

    #[test]
    fn names_go_before_parameters_and_these_before_the_rest() {
        let order = |one: &str, other: &str| {
            compare(&parse(one.as_bytes()).expect(one), &parse(other.as_bytes()).expect(other))
        };
        assert_eq!(order("/a/b", "/a/:x"), Ordering::Less);
        assert_eq!(order("/a/:x", "/a/*x"), Ordering::Less);
        assert_eq!(order("/a/:x", "/a/:y"), Ordering::Equal);
        assert_eq!(order("/*x", "/a/b/c"), Ordering::Greater);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "a", "/:", "/*", "/*a/b", "/:a/:a", "/:a/*a"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
