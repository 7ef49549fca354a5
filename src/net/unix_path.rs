//! The path of a Unix socket: a stale one is replaced when nobody listens there any more, and it goes with its listener.

use super::{Fresh, error};
use crate::driver::sockets::Carries;
use crate::driver::{Address, Family, UnixAddress};
use crate::platform;
use crate::status::{Result, Status};
use std::io;

/// A path that a socket was bound to.
pub struct BoundPath {
    path: Vec<u8>,
    /// Which file that is, so that another's is not removed.
    file: (u64, u64),
}

impl BoundPath {
    /// Binds a socket; None: to a name that leaves no file.
    pub(super) fn bind(fresh: &Fresh, address: &UnixAddress, mode: Option<u32>) -> Result<Option<Self>> {
        let whole = Address::Unix(*address);
        let bind = || fresh.with(|driver, socket| driver.bind(socket, &whole));
        let refused = |why: &io::Error| error::refused(format_args!("listening at {whole}"), why);
        let Some(path) = address.path().filter(|_| !fresh.reactor.is_simulated()) else {
            return bind().map(|()| None).map_err(|why| refused(&why));
        };
        match bind() {
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(fresh, address, path)?;
                bind().map_err(|why| refused(&why))?;
            }
            done => done.map_err(|why| refused(&why))?,
        }
        let file = platform::set_socket_mode(path, mode).map_err(|why| refused(&why))?;
        Ok(Some(Self { path: path.to_vec(), file }))
    }

    /// Removes the file, if it still is the one.
    pub fn unlink(self) {
        platform::unlink_socket(&self.path, Some(self.file));
    }
}

/// Removes the socket of somebody who has died; one that lives, and what is no socket, stays.
fn remove_stale(fresh: &Fresh, address: &UnixAddress, path: &[u8]) -> Result {
    let reactor = fresh.reactor;
    let shown = String::from_utf8_lossy(path);
    let used = |why: String| Status::ERR_ADDRESS_IN_USE.because(format_args!("listening at {shown}: {why}"));
    if !platform::is_socket(path) {
        return Err(used("there is a file that is no socket".to_owned()));
    }
    let probe = reactor.with_driver(|driver| driver.open(Family::Unix, Carries::Stream));
    let probe = Fresh::new(reactor, probe.map_err(|why| error::refused(format_args!("listening at {shown}"), &why))?);
    match probe.with(|driver, socket| driver.connect(socket, &Address::Unix(*address))) {
        Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            platform::unlink_socket(path, None);
            Ok(())
        }
        _ => Err(used("somebody listens there".to_owned())),
    }
}
