//! Links between hosts: what a packet meets on its way.

use super::clockwork::Clockwork;
use super::hosts::Host;
use std::collections::{BTreeMap, BTreeSet};

/// How packets travel from one host to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The way itself, in nanoseconds.
    pub latency: u64,
    /// Up to so much more, by chance.
    pub jitter: u64,
    /// Bytes a second; 0 no limit.
    pub bandwidth: f64,
    /// How probably a packet is lost.
    pub loss: f64,
    /// How probably a datagram comes twice.
    pub duplication: f64,
    /// How probably a datagram is held back, so that later ones overtake it.
    pub reordering: f64,
    /// Nothing gets through.
    pub partitioned: bool,
}

impl Link {
    /// Within a host.
    const LOOPBACK: Link = Link {
        latency: 0,
        jitter: 0,
        bandwidth: 0.0,
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        partitioned: false,
    };

    /// How long so many bytes keep it busy.
    fn takes(&self, bytes: usize) -> u64 {
        if self.bandwidth > 0.0 { (bytes as f64 / self.bandwidth * 1e9) as u64 } else { 0 }
    }
}

impl Default for Link {
    /// A local network: a round trip takes a millisecond.
    fn default() -> Self {
        Self { latency: 500_000, ..Self::LOOPBACK }
    }
}

/// One way between two hosts, as the rules have it now.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub link: Link,
    /// When what was sent before will have left.
    busy_until: u64,
    /// Since when nothing gets through.
    pub blocked_since: Option<u64>,
}

/// The rules by pairs of hosts, where None is any, and what follows from them.
#[derive(Default)]
pub(super) struct Links {
    rules: BTreeMap<(Option<Host>, Option<Host>), Link>,
    partitions: BTreeSet<(Option<Host>, Option<Host>)>,
    paths: BTreeMap<(Host, Host), Path>,
}

fn covers(rule: Option<Host>, host: Host) -> bool {
    rule.is_none_or(|rule| rule == host)
}

impl Links {
    /// The link for this way; the rule that names more hosts decides, and of two that name one the sender's.
    fn resolve(&self, from: Host, to: Host) -> Link {
        if from == to {
            return Link::LOOPBACK;
        }
        let rules = [(Some(from), Some(to)), (Some(from), None), (None, Some(to)), (None, None)];
        let mut link = rules.iter().find_map(|rule| self.rules.get(rule)).copied().unwrap_or_default();
        let cut = |(a, b): &(Option<Host>, Option<Host>)| {
            (covers(*a, from) && covers(*b, to)) || (covers(*a, to) && covers(*b, from))
        };
        link.partitioned |= link.loss >= 1.0 || self.partitions.iter().any(cut);
        link
    }

    pub fn path(&mut self, from: Host, to: Host, now: u64) -> &mut Path {
        if !self.paths.contains_key(&(from, to)) {
            let link = self.resolve(from, to);
            let blocked_since = link.partitioned.then_some(now);
            self.paths.insert((from, to), Path { link, busy_until: 0, blocked_since });
        }
        self.paths.get_mut(&(from, to)).expect("it was just put there")
    }

    /// Whether nothing gets through this way.
    pub fn is_blocked(&mut self, from: Host, to: Host, now: u64) -> bool {
        self.path(from, to, now).blocked_since.is_some()
    }

    pub fn set(&mut self, from: Option<Host>, to: Option<Host>, link: Link, now: u64) {
        self.rules.insert((from, to), link);
        self.changed(now);
    }

    /// Parts hosts, or ends what parts the hosts of this pair and no others.
    pub fn partition(&mut self, a: Option<Host>, b: Option<Host>, on: bool, now: u64) {
        if on {
            self.partitions.insert((a, b));
        } else {
            let within = |rule: Option<Host>, of: Option<Host>| of.is_none() || rule == of;
            let ends = |x, y| within(x, a) && within(y, b);
            self.partitions.retain(|(x, y)| !ends(*x, *y) && !ends(*y, *x));
        }
        self.changed(now);
    }

    fn changed(&mut self, now: u64) {
        let pairs = self.paths.keys().copied().collect::<Vec<_>>();
        for (from, to) in pairs {
            let link = self.resolve(from, to);
            let path = self.path(from, to, now);
            path.link = link;
            path.blocked_since = if link.partitioned { path.blocked_since.or(Some(now)) } else { None };
        }
    }

    /// When all that has left by now will have arrived.
    pub fn longest_way(&mut self, from: Host, to: Host, now: u64) -> u64 {
        let link = self.path(from, to, now).link;
        now.saturating_add(link.latency).saturating_add(link.jitter)
    }

    /// So much of what waits to leave is not sent after all.
    pub fn take_back(&mut self, from: Host, to: Host, bytes: usize, now: u64) {
        let path = self.path(from, to, now);
        path.busy_until = path.busy_until.saturating_sub(path.link.takes(bytes));
    }

    /// Sends a packet off: when it arrives, if it does.
    pub fn travel(&mut self, from: Host, to: Host, bytes: usize, clockwork: &Clockwork) -> u64 {
        let now = clockwork.now();
        let path = self.path(from, to, now);
        let mut leaves = now;
        if path.link.bandwidth > 0.0 {
            path.busy_until = path.busy_until.max(now).saturating_add(path.link.takes(bytes));
            leaves = path.busy_until;
        }
        leaves.saturating_add(path.link.latency).saturating_add(clockwork.up_to(path.link.jitter))
    }
}
