//! The host's own resolver: it is asked in place of the system.

use super::addresses::{self, Addresses};
use super::resolver::{self, Answer, Asked, LookUp};
use crate::deferred::{Deferred, cancel, chain};
use crate::driver::Family;
use crate::handles::{self, Body, Item, Kind, Owned, ResolverFn, Word};
use crate::reactor::{Reactor, ReactorItem, scopes};
use crate::status::{self, Result, Status};
use std::cell::RefCell;
use std::rc::Rc;

/// Look-ups that a resolver may begin inside each other's calls: more is one that asks itself.
const DEEPEST: u32 = 16;

/// What is called; it lives as long as a call of it.
struct Host {
    function: ResolverFn,
    data: Owned,
    scope: u32,
}

/// A registration, until the next one or the end of its scope.
#[derive(Default)]
pub struct Resolver {
    host: RefCell<Option<Rc<Host>>>,
}

impl Body for Resolver {
    const KIND: Kind = Kind::Resolver;
    const SLOTS: u32 = 8;
    type Root = Reactor;
    type Beside = ();

    fn end(resolver: Item<Self>) {
        remove(resolver);
    }
}

/// Has names looked up by `function` from here on; None: by the system again.
pub fn set(reactor: ReactorItem, function: Option<ResolverFn>, data: Owned) -> Result {
    let network = super::open(reactor)?;
    let _out = reactor.call_out();
    let made = match function {
        Some(function) => Some(make(reactor, function, data)?),
        None => {
            drop(data);
            None
        }
    };
    let before = network.resolver.replace(made.map_or(Word::NULL, Item::word));
    if let Ok(before) = handles::get::<Resolver>(before) {
        remove(before);
    }
    Ok(())
}

fn make(reactor: ReactorItem, function: ResolverFn, data: Owned) -> Result<Item<Resolver>> {
    let resolver = reactor.pools.alloc::<Resolver>()?;
    let scope = reactor.scope.get();
    if scope != 0 {
        scopes::join(reactor, scope, resolver.word()).inspect_err(|_| reactor.pools.free(resolver))?;
    }
    *resolver.host.borrow_mut() = Some(Rc::new(Host { function, data, scope }));
    Ok(resolver)
}

/// The registration is over; without another one the system is asked again.
fn remove(resolver: Item<Resolver>) {
    let reactor = resolver.root();
    let host = resolver.host.take();
    reactor.pools.free(resolver);
    if let Some(host) = host {
        drop_host(reactor, host);
    }
}

fn drop_host(reactor: ReactorItem, host: Rc<Host>) {
    let _out = reactor.call_out();
    let scope = host.scope;
    if Rc::strong_count(&host) == 1 {
        reactor.in_scope(scope, || drop(host));
    }
}

/// Asks the host's resolver. False: there is none.
pub(super) fn ask(look_up: Item<LookUp>, name: &str, family: Option<Family>) -> Result<bool> {
    let reactor = look_up.root();
    let network = super::of(reactor);
    let Ok(resolver) = handles::get::<Resolver>(network.resolver.get()) else { return Ok(false) };
    let Some(host) = resolver.host.borrow().clone() else { return Ok(false) };
    if network.resolving.get() >= DEEPEST {
        return Err(Status::ERR_REENTRANT.because(format_args!("looking up {name}: the resolver asks itself")));
    }
    let answer = addresses::open(reactor)?;
    look_up.asked.set(Asked::Host(Word::NULL, answer.word()));
    network.resolving.set(network.resolving.get() + 1);
    let returned = call(reactor, &host, name, family, answer);
    drop_host(reactor, host);
    network.resolving.set(network.resolving.get() - 1);
    if returned.is_null() {
        resolver::arrive(look_up, 0, Ok(answer.all()))?;
    } else {
        wait_for(look_up, answer, returned)?;
    }
    Ok(true)
}

fn call(reactor: ReactorItem, host: &Host, name: &str, family: Option<Family>, answer: Item<Addresses>) -> Word {
    let name = status::text_for_c(name.to_owned());
    let family = addresses::number_of(family);
    let _out = reactor.call_out();
    reactor.in_scope(host.scope, || {
        (host.function)(reactor.word(), Word::new(name.as_ptr()), family, answer.word(), host.data.word())
    })
}

/// The answer is there when the Deferred has fired.
fn wait_for(look_up: Item<LookUp>, answer: Item<Addresses>, deferred: Word) -> Result {
    look_up.asked.set(Asked::Host(deferred, answer.word()));
    let (waiting, addresses) = (look_up.word(), answer.word());
    let taken = handles::get::<Deferred>(deferred).and_then(|deferred| match deferred.root() == look_up.root() {
        true => chain::when_over(deferred, Box::new(move |told| answered(waiting, addresses, told))),
        false => Err(Status::ERR_WRONG_REACTOR),
    });
    if let Err(why) = taken {
        // It is not this look-up's to cancel.
        look_up.asked.set(Asked::Host(Word::NULL, answer.word()));
        let detail = status::detail_of(why).unwrap_or_else(|| why.text().to_string_lossy().into_owned());
        let why = look_up.error(why, 0, format_args!("the resolver's Deferred cannot be waited for: {detail}"));
        resolver::arrive(look_up, 0, Err(why))?;
    }
    Ok(())
}

/// The Deferred has fired.
fn answered(look_up: Word, addresses: Word, told: chain::Told) {
    let Ok(look_up) = handles::get::<LookUp>(look_up) else { return };
    let all = |word| handles::get::<Addresses>(word).map(|addresses| addresses.all()).unwrap_or_default();
    let answer: Answer = match told {
        Ok(value) => {
            // What the system has answered, say, may be passed on as it is.
            let mut found = all(addresses);
            found.extend(all(value.word()));
            Ok(found)
        }
        Err((code, message)) => {
            let status = Status(code);
            Err(look_up.error(status, 0, message.unwrap_or_else(|| status.text().to_string_lossy().into_owned())))
        }
    };
    if let Err(why) = resolver::arrive(look_up, 0, answer) {
        resolver::tell(look_up, Err(look_up.error(why, 0, why.text().to_string_lossy())));
    }
}

/// The look-up is over: the host hears that nobody waits any more.
pub(super) fn let_go(reactor: ReactorItem, deferred: Word, answer: Word) {
    let _out = reactor.call_out();
    if let Ok(deferred) = handles::get::<Deferred>(deferred) {
        cancel::cancel(deferred);
    }
    if let Ok(answer) = handles::get::<Addresses>(answer) {
        addresses::free(answer);
    }
}
