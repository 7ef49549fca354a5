//! What goes wrong on demand, and what follows when links change.

use super::descriptors::Life;
use super::errors;
use super::events::Event;
use super::hosts::Host;
use super::links::Link;
use super::network::Network;
use super::stream::State;
use crate::platform::Socket;
use std::time::Duration;

/// Where the program leaves it to the system: between two probes, and how many.
const PROBE_INTERVAL: Duration = Duration::from_secs(75);
const PROBES: u32 = 9;

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Network {
    /// Another link for this way; None: from or to any host.
    pub fn set_link(&mut self, from: Option<Host>, to: Option<Host>, link: Link) {
        let now = self.now();
        self.links.set(from, to, link, now);
        self.links_changed();
    }

    /// Lets nothing through between two hosts, or again.
    pub fn partition(&mut self, a: Option<Host>, b: Option<Host>, on: bool) {
        let now = self.now();
        self.links.partition(a, b, on, now);
        self.links_changed();
    }

    /// All connections, in order.
    fn streams(&self) -> Vec<Socket> {
        let mut streams =
            self.descriptors.keys().copied().filter(|one| self.stream(*one).is_some()).collect::<Vec<_>>();
        streams.sort_unstable();
        streams
    }

    /// What no packet would bring about: news of room that got lost, and probes of connections that are silent.
    fn links_changed(&mut self) {
        for socket in self.streams() {
            self.give_credit(socket, true);
            self.probe(socket);
        }
    }

    /// Whether nothing gets through between the ends of a connection, and since when.
    fn blocked_since(&mut self, socket: Socket) -> Option<u64> {
        let (from, to) = self.route(socket)?;
        let now = self.now();
        let there = self.links.path(from, to, now).blocked_since;
        let back = self.links.path(to, from, now).blocked_since;
        there.into_iter().chain(back).min()
    }

    fn peer_is_gone(&mut self, socket: Socket) -> bool {
        let peer = self.stream(socket).and_then(|stream| stream.remote.socket);
        let life = peer.and_then(|peer| self.descriptors.get(&peer)).map(|peer| peer.life);
        // One that was closed may still have something to say.
        life != Some(Life::Closed) && peer.is_some_and(|peer| self.living_stream(peer).is_none())
    }

    /// How long a connection keeps silent before it is found out that nobody answers.
    fn probing_takes(&self, socket: Socket) -> Option<u64> {
        let keep_alive = self.descriptors.get(&socket)?.common.options.keep_alive?;
        if self.stream(socket)?.state != State::Connected {
            return None;
        }
        let interval = nanoseconds(keep_alive.interval.unwrap_or(PROBE_INTERVAL));
        let probes = if keep_alive.count == 0 { PROBES } else { keep_alive.count };
        Some(nanoseconds(keep_alive.idle).saturating_add(interval.saturating_mul(u64::from(probes))))
    }

    /// A connection that is looked after, and whose probes would have no good answer, will find that out.
    pub fn probe(&mut self, socket: Socket) {
        let Some(takes) = self.probing_takes(socket) else { return };
        if self.blocked_since(socket).is_some() || self.peer_is_gone(socket) {
            self.events.push(self.now().saturating_add(takes), Event::KeepAlive(socket));
        }
    }

    pub fn probes_unanswered(&mut self, socket: Socket) {
        let Some(takes) = self.probing_takes(socket) else { return };
        let long_ago = self.now().saturating_sub(takes);
        match self.blocked_since(socket) {
            Some(since) if since <= long_ago => self.fail(socket, errors::TIMED_OUT),
            None if self.peer_is_gone(socket) => self.reset(socket),
            _ => {}
        }
    }

    /// Resets the connections between two hosts, at both ends at once.
    pub fn reset_connections(&mut self, a: Option<Host>, b: Option<Host>) {
        let is = |which: Option<Host>, host: Host| which.is_none_or(|which| which == host);
        for socket in self.streams() {
            let Some((from, to)) = self.route(socket) else { continue };
            let is_meant = (is(a, from) && is(b, to)) || (is(a, to) && is(b, from));
            let state = self.stream(socket).map(|stream| stream.state);
            if is_meant && matches!(state, Some(State::Connected | State::Shaking(_))) {
                self.fail(socket, errors::RESET);
            }
        }
    }
}
