//! Sockets that whoever started the process has opened for it, as systemd does: see sd_listen_fds(3).

use super::endpoint::Inherited;
use crate::platform::Socket;
use crate::status::{Result, Status};
use std::sync::{Mutex, PoisonError};

/// The first of them, by agreement.
const FIRST: usize = 3;

/// Those that were taken already: their numbers may mean something else by now.
static TAKEN: Mutex<Vec<Socket>> = Mutex::new(Vec::new());

fn count() -> usize {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    // They are for one process alone, not for its children.
    if number("LISTEN_PID") != Some(std::process::id() as usize) {
        return 0;
    }
    number("LISTEN_FDS").unwrap_or(0)
}

fn place_of(which: &Inherited, count: usize) -> Option<usize> {
    match which {
        Inherited::Index(index) => Some(*index).filter(|index| *index < count),
        Inherited::Name(name) => {
            let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
            names.split(':').take(count).position(|one| one == name)
        }
    }
}

/// One of them, once.
pub fn take(which: &Inherited) -> Result<Socket> {
    let shown = match which {
        Inherited::Index(index) => format!("systemd://{index}"),
        Inherited::Name(name) => format!("systemd://{name}"),
    };
    let count = count();
    let Some(place) = place_of(which, count) else {
        let why = format_args!("{shown}: no such socket was passed to this process; {count} were");
        return Err(Status::ERR_ADDRESS_NOT_AVAILABLE.because(why));
    };
    let socket = (FIRST + place) as Socket;
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.contains(&socket) {
        return Err(Status::ERR_ADDRESS_IN_USE.because(format_args!("{shown}: it was taken already")));
    }
    taken.push(socket);
    Ok(socket)
}

/// It was not used after all.
pub fn give_back(socket: Socket) {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).retain(|taken| *taken != socket);
}
