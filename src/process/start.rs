//! Starting a process: its descriptors, its terminal, its program.

use super::{Process, Protocol, ending, flag, free, keep_words, orphans, pipes};
use crate::driver::{Readiness, Ready};
use crate::handles::{Item, Word};
use crate::net::out::OwnDescriptor;
use crate::net::{self, error};
use crate::platform::{self, Command, FileUse, Socket, SpawnError, Step};
use crate::reactor::{ReactorItem, scopes};
use crate::status::{Result, Status};
use std::ffi::CString;
use std::fmt::Display;
use std::io;
use std::rc::Rc;

/// What a descriptor of a child is.
pub enum What {
    /// A pipe that the child reads.
    PipeIn,
    /// A pipe that the child writes.
    PipeOut,
    /// The same as this descriptor of ours.
    Inherit(Socket),
    /// Nothing: reads end at once, writes go nowhere.
    Null,
    /// A file.
    File(CString, FileUse),
}

/// How a process is started.
pub struct How {
    /// The program's path, or its name if it is searched for.
    pub program: CString,
    /// Whether it is searched for in PATH: that of its environment.
    pub search: bool,
    /// What the system is told; its descriptors are not filled in.
    pub command: Command,
    /// Its descriptors: their numbers there, and what they are.
    pub descriptors: Vec<(i32, What)>,
    /// Its descriptors 0, 1 and 2 are a terminal with so many columns and rows.
    pub terminal: Option<(u16, u16)>,
    /// Its group, which it leads, is killed with it.
    pub kill_group: bool,
    /// It is killed when its scope or its reactor ends.
    pub kill_at_end: bool,
    /// So long may it take at most; None: without a limit.
    pub time_limit: Option<u64>,
    /// So long may it go on when it was asked to end; None: for ever.
    pub kill_after: Option<u64>,
}

/// Starts a process. `made` is told from the loop.
pub fn start(reactor: ReactorItem, how: How, protocol: Rc<dyn Protocol>) -> Result<Item<Process>> {
    reactor.check_system("child processes")?;
    net::open(reactor)?;
    reactor.above.by_kind.serve::<Process>();
    orphans::sweep();
    // What the system is told is made of many small things.
    crate::handles::check_memory(64 * 1024)?;
    let process = make(reactor, &how)?;
    let started = begin(process, how, &*protocol);
    keep_words(started, || {
        pipes::discard(process);
        free(process);
    })?;
    *process.protocol.borrow_mut() = Some(protocol);
    // It is told that it runs by the next turn.
    reactor.ready_again(Ready { key: process.word(), readiness: Readiness::default(), ended: false });
    Ok(process)
}

fn make(reactor: ReactorItem, how: &How) -> Result<Item<Process>> {
    let process = reactor.pools.alloc::<Process>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, process.word()) };
    joined.inspect_err(|_| reactor.pools.free(process))?;
    let bit = |on, flag| if on { flag } else { 0 };
    let leads = how.command.new_group || how.command.new_session;
    let flags = bit(leads, flag::LEADS)
        | bit(leads && how.kill_group, flag::KILL_GROUP)
        | bit(how.kill_at_end, flag::KILL_AT_END)
        | bit(how.terminal.is_some(), flag::TERMINAL);
    process.flags.set(flags);
    process.scope.set(scope);
    process.exit.set(None);
    process.reason.set(Word::NULL);
    process.limit.set(Word::NULL);
    process.killer.set(Word::NULL);
    process.kill_after.set(how.kill_after);
    *process.name.borrow_mut() = how.program.to_string_lossy().into_owned();
    reactor.processes.set(reactor.processes.get() + 1);
    Ok(process)
}

/// Ends that are ours until the child has begun.
#[derive(Default)]
struct Ends {
    /// The child's, closed here once it has its own.
    theirs: Vec<OwnDescriptor>,
    /// What is where in the child.
    map: Vec<(Socket, Socket)>,
}

impl Ends {
    fn give(&mut self, number: i32, descriptor: OwnDescriptor) {
        self.map.push((number as Socket, descriptor.0));
        self.theirs.push(descriptor);
    }
}

fn begin(process: Item<Process>, mut how: How, protocol: &dyn Protocol) -> Result {
    let (time_limit, program) = (how.time_limit, how.program.clone());
    let mut ends = Ends::default();
    if let Some((columns, rows)) = how.terminal {
        open_terminal(process, &mut ends, (columns, rows), protocol)?;
    }
    for (number, what) in std::mem::take(&mut how.descriptors) {
        open(process, &mut ends, (number, what), protocol)?;
    }
    for number in 0..3 {
        // A program that has no standard stream would take the first file that it opens for one.
        if ends.map.iter().all(|(theirs, _)| *theirs != number as Socket) {
            open(process, &mut ends, (number, What::Null), protocol)?;
        }
    }
    let mut command = how.command;
    command.descriptors = ends.map;
    command.candidates = candidates(&program, how.search, &command)?;
    let child = platform::spawn(&command).map_err(|why| refused(&program, how.search, &command, &why))?;
    drop(ends.theirs);
    process.pid.set(child.id());
    *process.child.borrow_mut() = Some(child);
    let watched = ending::watch(process).and_then(|()| match time_limit {
        Some(limit) => ending::set_limit(process, limit),
        None => Ok(()),
    });
    watched.inspect_err(|_| {
        // It must not go on without anybody who looks after it.
        if let Some(child) = process.child.take() {
            let _ = child.signal(platform::SIGKILL);
            if child.wait_at_most(1000).is_none() {
                orphans::add(child);
            }
        }
    })
}

fn open_terminal(process: Item<Process>, ends: &mut Ends, size: (u16, u16), protocol: &dyn Protocol) -> Result {
    let opened = platform::open_terminal(size.0, size.1);
    let (master, slave) = opened.map_err(|why| error::refused("opening a pseudo-terminal", &why))?;
    let (master, slave) = (OwnDescriptor(master), OwnDescriptor(slave));
    ends.map.extend((0..3).map(|number| (number as Socket, slave.0)));
    ends.theirs.push(slave);
    // One stream stands for all three; what is written to it is told of as from 1.
    pipes::open(process, 1, master, Readiness { readable: true, writable: true }, protocol)
}

fn open(process: Item<Process>, ends: &mut Ends, (number, what): (i32, What), protocol: &dyn Protocol) -> Result {
    let name = process.name.borrow().clone();
    let refused = |what: &dyn Display, why: &io::Error| {
        let status = if why.kind() == io::ErrorKind::NotFound { Status::ERR_NOT_FOUND } else { error::status_of(why) };
        status.because(format_args!("starting {name}, descriptor {number}: {what}{why}"))
    };
    let file = |path: &CString, to| {
        let opened = platform::open_for_child(path, to);
        opened.map(OwnDescriptor).map_err(|why| refused(&format_args!("{}: ", path.to_string_lossy()), &why))
    };
    let pipe = || {
        let (read, write) = platform::pipe().map_err(|why| refused(&"", &why))?;
        Ok((OwnDescriptor(read), OwnDescriptor(write)))
    };
    match what {
        What::PipeIn => {
            let (read, write) = pipe()?;
            ends.give(number, read);
            pipes::open(process, number, write, Readiness { readable: false, writable: true }, protocol)
        }
        What::PipeOut => {
            let (read, write) = pipe()?;
            ends.give(number, write);
            pipes::open(process, number, read, Readiness { readable: true, writable: false }, protocol)
        }
        What::Inherit(descriptor) => {
            ends.map.push((number as Socket, descriptor));
            Ok(())
        }
        What::Null => {
            let to = if number == 0 { FileUse::Read } else { FileUse::Append };
            ends.give(number, file(&c"/dev/null".to_owned(), to)?);
            Ok(())
        }
        What::File(path, to) => {
            ends.give(number, file(&path, to)?);
            Ok(())
        }
    }
}

/// Where the program may be: PATH is that of the environment that it gets.
fn candidates(program: &CString, search: bool, command: &Command) -> Result<Vec<CString>> {
    let of_child = command.environment.as_ref().and_then(|environment| {
        let path = environment.iter().find_map(|each| each.to_bytes().strip_prefix(b"PATH="));
        path.map(<[u8]>::to_vec)
    });
    let path = of_child.or_else(|| platform::variable("PATH")).unwrap_or_else(|| platform::DEFAULT_PATH.to_vec());
    let found = platform::candidates(program.to_bytes(), search.then_some(&path));
    found.map_err(|why| Status::ERR_INVALID_ARGUMENT.because(format_args!("PATH: {why}")))
}

/// Says what could not be done, and of what.
fn refused(program: &CString, searched: bool, command: &Command, failed: &SpawnError) -> Status {
    let SpawnError { step, descriptor, error: why } = failed;
    let program = program.to_string_lossy();
    let is_missing = why.kind() == io::ErrorKind::NotFound;
    let status = match error::status_of(why) {
        Status::ERR_OS if is_missing => Status::ERR_NOT_FOUND,
        status => status,
    };
    let directory = command.directory.as_ref().map(|directory| directory.to_string_lossy().into_owned());
    let text = match (step, directory) {
        (Step::Start, _) => format!("starting {program}: {why}"),
        (Step::Session, _) => format!("starting {program}: a session of its own: {why}"),
        (Step::Group, _) => format!("starting {program}: a group of its own: {why}"),
        (Step::Descriptor, _) => format!("starting {program}: descriptor {descriptor}: {why}"),
        (Step::Terminal, _) => format!("starting {program}: its terminal: {why}"),
        (Step::Identity, _) => {
            let (user, group) = (command.user.map(i64::from), command.group.map(i64::from));
            format!("starting {program} as user {}, group {}: {why}", user.unwrap_or(-1), group.unwrap_or(-1))
        }
        (Step::Directory, directory) => {
            format!("starting {program} in {}: the directory: {why}", directory.unwrap_or_default())
        }
        (Step::Program, None) if is_missing && command.candidates.iter().any(|path| platform::is_there(path)) => {
            format!("starting {program}: it is there, but what it is to be run by is not: {why}")
        }
        (Step::Program, _) if is_missing && searched && !program.contains('/') => {
            format!("starting {program}: it is in no folder of PATH: {why}")
        }
        (Step::Program, None) => format!("starting {program}: {why}"),
        (Step::Program, Some(directory)) => format!("starting {program} in {directory}: {why}"),
    };
    status.because(text)
}
