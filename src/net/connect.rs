//! Connecting to where an endpoint says.

use super::attempt::{self, Failed};
use super::endpoint::{self, Place, Purpose};
use super::error;
use super::protocol::Protocol;
use super::transport::Transport;
use crate::deferred::{Deferred, DeferredItem, chain, later};
use crate::handles::{self, Item, Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::cell::Cell;
use std::rc::Rc;

/// Connects; the Deferred fires with the transport's handle.
pub fn connect(reactor: ReactorItem, endpoint: &[u8], protocol: Rc<Protocol>, this: Owned) -> Result<DeferredItem> {
    let endpoint = endpoint::parse(endpoint, Purpose::Connect)?;
    let Place::At(address) = endpoint.place else { return Err(Status::ERR_NOT_SUPPORTED) };
    let deferred: Item<Deferred> = chain::new_inside(reactor, give_up, Word::NULL)?;
    let this = Cell::new(Some(this));
    let word = deferred.word();
    let done: attempt::Done = Box::new(move |reactor, outcome| {
        let Ok(deferred) = handles::get::<Deferred>(word) else { return };
        match outcome {
            Ok(transport) => {
                attempt::establish(transport, protocol, this.take().unwrap_or_default());
                let _ = chain::callback(deferred, Owned::new(transport.word(), None));
            }
            Err(Failed::System(why)) => {
                let what = format_args!("connecting to {address}");
                let _ = chain::errback(deferred, error::failure(reactor, error::status_of(&why), what, Some(&why)));
            }
            Err(Failed::Ended(_)) => {}
        }
    });
    let begun = attempt::begin(reactor, &address, attempt::How::default(), done);
    let transport = begun.inspect_err(|_| later::discard(deferred))?;
    match transport {
        Ok(transport) => chain::set_canceller_data(deferred, transport.word()),
        Err(why) => {
            later::discard(deferred);
            return Err(error::refused(format_args!("connecting to {address}"), &why));
        }
    }
    Ok(deferred)
}

extern "C-unwind" fn give_up(_: Word, transport: Word) {
    if let Ok(transport) = handles::get::<Transport>(transport) {
        attempt::give_up(transport);
    }
}
