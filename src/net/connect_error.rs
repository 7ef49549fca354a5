//! Why a connection could not be made, in words that name the host and what each of its addresses answered.

use super::endpoint::Place;
use super::error;
use super::resolver::LookUpError;
use crate::deferred::failure;
use crate::driver::Address;
use crate::handles::{self, Word};
use crate::reactor::ReactorItem;
use crate::reactor::timers::SECOND;
use crate::status::{self, Status};
use std::io;

/// What one address answered.
pub(super) struct Refusal {
    pub(super) address: Address,
    pub(super) status: Status,
    /// The system's error; 0 none.
    pub(super) os_error: i32,
    pub(super) why: String,
}

impl Refusal {
    /// What the system said.
    pub(super) fn of_system(address: Address, why: &io::Error) -> Self {
        let os_error = why.raw_os_error().unwrap_or(0);
        Self { address, status: error::status_of(why), os_error, why: why.to_string() }
    }
}

/// A failure to be.
pub(super) struct Failure {
    status: Status,
    os_error: i32,
    message: String,
}

impl Failure {
    /// The handle of the failure.
    pub(super) fn make(&self, reactor: ReactorItem) -> Word {
        error::made(reactor, self.status, self.os_error, &self.message)
    }
}

/// Where it was to connect to, in words.
pub(super) fn target(place: &Place) -> String {
    match place {
        Place::At(address) => address.to_string(),
        Place::Name { name, port, .. } => format!("{name}:{port}"),
        Place::Any { port, .. } => format!("*:{port}"),
        Place::Inherited(_) => "an inherited socket".to_owned(),
    }
}

/// A status in words, with those that it was recorded with if there are some.
pub(super) fn words_of(status: Status) -> String {
    status::detail_of(status).unwrap_or_else(|| status.text().to_string_lossy().into_owned())
}

/// The look-up of the name has failed.
pub(super) fn of_look_up(target: &str, why: &LookUpError) -> Failure {
    let message = format!("connecting to {target}: {}", why.message);
    Failure { status: why.status, os_error: why.os_error, message }
}

/// Every address has refused: in one way, or each in its own.
pub(super) fn of_refusals(target: &str, refusals: &[Refusal]) -> Failure {
    let first = refusals.first().map_or(Status::ERR_CONNECT_FAILED, |refusal| refusal.status);
    let alike = refusals.iter().all(|refusal| refusal.status == first);
    let status = if alike { first } else { Status::ERR_CONNECT_FAILED };
    let os_error = refusals.first().filter(|_| alike).map_or(0, |refusal| refusal.os_error);
    let message = match refusals {
        // The address itself was to be connected to.
        [only] if only.address.to_string() == target => format!("connecting to {target}: {}", only.why),
        refusals => format!("connecting to {target}: {}", list(refusals, &[])),
    };
    Failure { status, os_error, message }
}

/// It took too long, with these addresses not having answered.
pub(super) fn of_timeout(target: &str, timeout: u64, refusals: &[Refusal], pending: &[Address]) -> Failure {
    let seconds = timeout as f64 / SECOND as f64;
    let mut message = format!("connecting to {target}: no connection within {seconds} s");
    let is_target = |address: &Address| address.to_string() == target;
    if pending.is_empty() {
        message.push_str(", its name is still being looked up");
    } else if !(refusals.is_empty() && pending.iter().all(is_target)) {
        message = format!("{message}: {}", list(refusals, pending));
    }
    Failure { status: Status::ERR_TIMED_OUT, os_error: 0, message }
}

/// The TLS handshake has failed for this reason; None: nobody is to be told, since it was ended from here.
pub(super) fn of_handshake(reason: Word) -> Option<impl FnOnce(&str) -> Failure> {
    let reason = handles::get::<failure::Failure>(reason).ok()?;
    let (status, os_error, words) = (Status(reason.code()), reason.os_error(), reason.own_message());
    (status != Status::ERR_CLOSED).then_some(move |target: &str| {
        let words = words.unwrap_or_else(|| status.text().to_string_lossy().into_owned());
        let message = format!("connecting to {target}: {words}");
        Failure { status, os_error, message }
    })
}

fn list(refusals: &[Refusal], pending: &[Address]) -> String {
    let refused = refusals.iter().map(|refusal| format!("{}: {}", refusal.address, refusal.why));
    let silent = pending.iter().map(|address| format!("{address}: no answer"));
    refused.chain(silent).collect::<Vec<_>>().join("; ")
}
