//! The addresses that a name leads to, as a value.

use crate::driver::Family;
use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

struct One {
    /// With port 0.
    address: SocketAddr,
    text: CString,
}

/// See the module.
#[derive(Default)]
pub struct Addresses {
    list: RefCell<Vec<One>>,
    /// A resolver is filling them in.
    open: Cell<bool>,
}

impl Body for Addresses {
    const KIND: Kind = Kind::Addresses;
    type Root = Reactor;
    type Beside = ();

    fn end(addresses: Item<Self>) {
        free(addresses);
    }
}

/// An IP address in words, with the number of its interface where it needs one.
pub fn text_of(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        address => address.ip().to_string(),
    }
}

/// What `text_of` has written; None: it is no address.
pub fn of_text(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0)),
        Some((address, zone)) => {
            let scope = zone.parse().ok().or_else(|| crate::platform::interface_index(zone))?;
            Some(SocketAddrV6::new(address.parse().ok()?, 0, 0, scope).into())
        }
    }
}

/// The family of an IP address.
pub fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv6() { Family::V6 } else { Family::V4 }
}

/// The family as the C API has it; 0 for both.
pub fn number_of(family: Option<Family>) -> i32 {
    match family {
        None | Some(Family::Unix) => 0,
        Some(Family::V4) => 4,
        Some(Family::V6) => 6,
    }
}

/// No addresses yet: a resolver adds them.
pub fn open(reactor: ReactorItem) -> Result<Item<Addresses>> {
    let addresses = reactor.pools.alloc::<Addresses>()?;
    addresses.open.set(true);
    Ok(addresses)
}

/// Addresses as a value: freed with it.
pub fn make(reactor: ReactorItem, list: &[SocketAddr]) -> Result<Owned> {
    let addresses = reactor.pools.alloc::<Addresses>()?;
    addresses.open.set(false);
    for address in list {
        addresses.push(*address).inspect_err(|_| free(addresses))?;
    }
    const FREE: FreeFn = free_word;
    Ok(Owned::new(addresses.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(addresses) = handles::get::<Addresses>(word) {
        free(addresses);
    }
}

/// Ends them, whoever has the handle.
pub fn free(addresses: Item<Addresses>) {
    addresses.list.take();
    addresses.root().pools.free(addresses);
}

impl Addresses {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.borrow().len()
    }

    /// All of them, with port 0.
    pub fn all(&self) -> Vec<SocketAddr> {
        self.list.borrow().iter().map(|one| one.address).collect()
    }

    fn with<R>(&self, index: usize, read: impl FnOnce(&One) -> R) -> Result<R> {
        let list = self.list.borrow();
        let out = || Status::ERR_INVALID_ARGUMENT.because(format_args!("index {index} of {} addresses", list.len()));
        list.get(index).map(read).ok_or_else(out)
    }

    /// One in words, in memory that lives as long as the addresses.
    pub fn text(&self, index: usize) -> Result<Word> {
        self.with(index, |one| Word::new(one.text.as_ptr()))
    }

    /// Its family.
    pub fn family(&self, index: usize) -> Result<Family> {
        self.with(index, |one| family_of(one.address))
    }

    fn push(&self, address: SocketAddr) -> Result {
        let mut list = self.list.borrow_mut();
        list.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        list.push(One { address, text: crate::status::text_for_c(text_of(address)) });
        Ok(())
    }

    /// One more, from a resolver.
    pub fn add(&self, address: SocketAddr) -> Result {
        if !self.open.get() {
            return Err(Status::ERR_INVALID_STATE.because("only a resolver adds addresses, to those that it was given"));
        }
        self.push(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for text in ["127.0.0.1", "::1", "fe80::1%7"] {
            assert_eq!(of_text(text).map(text_of).as_deref(), Some(text));
        }
        for text in ["", "127.1", "localhost", "[::1]", "::1%", "1.2.3.4%1", "::1%no-such-interface", "1.2.3.4:80"] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }
}
