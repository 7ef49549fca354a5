//! What an operation gives, from the pool thread to the Deferred.

use super::bytes;
use super::directory::{self, Entries, OpenDirectory};
use super::file::{self, OpenFile};
use super::info::{self, Facts};
use super::temporary::Made;
use super::trouble::Trouble;
use crate::deferred::failure::Reason;
use crate::deferred::{DeferredItem, chain};
use crate::handles::{Owned, Word};
use crate::reactor::ReactorItem;
use crate::status::{self, Result};
use crate::threads::job::Job;

/// See the module. Dropped, it closes and removes what it stands for.
pub enum Value {
    /// NULL.
    Nothing,
    /// A number in the place of a pointer.
    Number(u64),
    /// With room for a NUL behind them.
    Bytes(Vec<u8>),
    /// What a file is.
    Facts(Box<Facts>),
    /// Some entries of a directory.
    Entries(Entries),
    /// A file, for this scope.
    File(OpenFile, u32),
    /// A directory, for this scope.
    Directory(OpenDirectory, u32),
    /// The path of something temporary that is new.
    Made(Made),
}

/// What became of an operation.
pub type Outcome = std::result::Result<Value, Trouble>;
/// An operation, on a pool thread.
pub type Work = Box<dyn FnOnce(&Job) -> Outcome + Send>;

impl Value {
    fn into_owned(self, reactor: ReactorItem) -> Result<Owned> {
        let plain = |word| Ok(Owned::new(word, None));
        match self {
            Value::Nothing => plain(Word::NULL),
            Value::Number(number) => plain(Word::from_addr(number as usize)),
            Value::Bytes(data) => bytes::make(reactor, data),
            Value::Facts(facts) => info::make(reactor, *facts),
            Value::Entries(entries) => directory::make_entries(reactor, entries),
            Value::File(open, scope) => plain(file::make(reactor, open, scope)?.word()),
            Value::Directory(open, scope) => plain(directory::make(reactor, open, scope)?.word()),
            Value::Made(made) => bytes::make(reactor, made.keep()?),
        }
    }
}

/// Fires the Deferred, on the reactor's thread.
pub fn deliver(reactor: ReactorItem, deferred: Option<DeferredItem>, outcome: Outcome) {
    let Some(deferred) = deferred else { return };
    let _ = match outcome.map(|value| value.into_owned(reactor)) {
        Ok(Ok(value)) => chain::callback(deferred, value),
        Ok(Err(why)) => {
            let message = status::detail_of(why);
            chain::errback_with(deferred, &Reason { message: message.as_deref(), ..why.into() }, Owned::default())
        }
        Err(trouble) => {
            let Trouble { status, os_error, message } = trouble;
            let reason = Reason { code: status.0, os_error, message: Some(&message) };
            chain::errback_with(deferred, &reason, Owned::default())
        }
    };
}
