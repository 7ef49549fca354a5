//! How a child process is started.

use super::convert::{self, invalid};
use super::guard;
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::platform::{Command, FileUse};
use crate::process::start::{How, What};
use crate::status::{Result, Status};
use std::ffi::{CString, c_char};
use std::ptr;

/// The program is searched for in PATH, if its name has no slash: in that of its environment, if it gets one.
pub const LARIAT_PROCESS_SEARCH_PATH: u32 = 1;
/// It leads a session of its own, and so a process group, too: setsid.
pub const LARIAT_PROCESS_NEW_SESSION: u32 = 2;
/// It leads a process group of its own: setpgid.
pub const LARIAT_PROCESS_NEW_GROUP: u32 = 4;
/// Its descriptors 0, 1 and 2 are a pseudo-terminal of columns and rows, which is the terminal of a session of its own.
pub const LARIAT_PROCESS_TERMINAL: u32 = 8;
/// Its group ends with it: what is left of it is killed as soon as the process has ended, and signals of
/// lariat_process_terminate and of the time limit go to all of it. With LARIAT_PROCESS_NEW_GROUP, _NEW_SESSION or
/// _TERMINAL only.
pub const LARIAT_PROCESS_KILL_GROUP: u32 = 16;
/// It is killed when its scope or its reactor ends. Without this it goes on, its pipes closed.
pub const LARIAT_PROCESS_KILL_AT_END: u32 = 32;

/// A pipe that the child reads.
pub const LARIAT_DESCRIPTOR_PIPE_IN: i32 = 1;
/// A pipe that the child writes.
pub const LARIAT_DESCRIPTOR_PIPE_OUT: i32 = 2;
/// The same as fd is here; 0, 1 and 2 are the standard streams.
pub const LARIAT_DESCRIPTOR_INHERIT: i32 = 3;
/// The null device: reads end at once, writes go nowhere.
pub const LARIAT_DESCRIPTOR_NULL: i32 = 4;
/// The file at path, which the child reads.
pub const LARIAT_DESCRIPTOR_FILE_READ: i32 = 5;
/// The file at path, made or emptied, which the child writes.
pub const LARIAT_DESCRIPTOR_FILE_WRITE: i32 = 6;
/// The file at path, made if it is not there, which the child writes at its end.
pub const LARIAT_DESCRIPTOR_FILE_APPEND: i32 = 7;

/// What a descriptor of a child is. Fixed for ever.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_process_descriptor {
    /// Its number in the child, 0 to 65535.
    pub child_fd: i32,
    /// LARIAT_DESCRIPTOR_PIPE_IN and so on.
    pub kind: i32,
    /// Of LARIAT_DESCRIPTOR_INHERIT: a descriptor of the host, which stays its own.
    pub fd: lariat_socket,
    /// Of a file: where it is; else not looked at.
    pub path: *const c_char,
}

/// How a child process is started: to be filled by lariat_process_options_init, changed, and given to what starts
/// processes, which copies it. Paths, arguments and environment are the system's own bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_process_options {
    /// Set by lariat_process_options_init.
    pub struct_size: u32,
    /// LARIAT_PROCESS_SEARCH_PATH and so on, together; default 0.
    pub flags: u32,
    /// The program's path; must be set. One without a leading slash is looked for from directory.
    pub program: *const c_char,
    /// What it gets, its own name first; ended by NULL. May be NULL: its name alone.
    pub arguments: *const *const c_char,
    /// "NAME=value" each, ended by NULL. May be NULL: the host's environment.
    pub environment: *const *const c_char,
    /// Where it begins. May be NULL: where the host is.
    pub directory: *const c_char,
    /// The user that it becomes; -1: the host's (default). With this or gid it is in no other groups any more.
    pub uid: i64,
    /// The group that it becomes one of; -1: the host's (default).
    pub gid: i64,
    /// Of its terminal; 0: not said.
    pub columns: u16,
    /// Of its terminal; 0: not said.
    pub rows: u16,
    /// 0.
    pub reserved: u32,
    /// Its descriptors. May be NULL if descriptor_count is 0: then 0 is a pipe that it reads, and 1 and 2 are pipes that
    /// it writes; or, with a terminal, that. Of 0, 1 and 2 those that are not given are the null device. It has no
    /// others.
    pub descriptors: *const lariat_process_descriptor,
    /// How many they are.
    pub descriptor_count: usize,
    /// After so many seconds it is ended as by lariat_process_terminate, and its pipes are closed; INFINITY: no limit
    /// (default).
    pub time_limit: f64,
    /// How many seconds the time limit, and a cancelled run, give it to end by itself before it is killed; INFINITY: it
    /// is never killed; default 5.
    pub kill_after: f64,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_process_options {
    const FIELDS: &'static [usize] = fields!(lariat_process_options:
        struct_size flags program arguments environment directory uid gid columns rows reserved descriptors
        descriptor_count time_limit kill_after);

    fn initial(struct_size: u32) -> Self {
        Self {
            struct_size,
            flags: 0,
            program: ptr::null(),
            arguments: ptr::null(),
            environment: ptr::null(),
            directory: ptr::null(),
            uid: -1,
            gid: -1,
            columns: 0,
            rows: 0,
            reserved: 0,
            descriptors: ptr::null(),
            descriptor_count: 0,
            time_limit: f64::INFINITY,
            kill_after: 5.0,
        }
    }
}

/// Fills the options of a process with their defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_process_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_process_options_init(options: *mut lariat_process_options, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

const FLAGS: u32 = LARIAT_PROCESS_SEARCH_PATH
    | LARIAT_PROCESS_NEW_SESSION
    | LARIAT_PROCESS_NEW_GROUP
    | LARIAT_PROCESS_TERMINAL
    | LARIAT_PROCESS_KILL_GROUP
    | LARIAT_PROCESS_KILL_AT_END;

/// The options as the core has them; `pipe_in`: descriptor 0 is a pipe unless something else is said.
pub(super) fn read(options: *const lariat_process_options, pipe_in: bool) -> Result<How> {
    let given = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    let has = |flag| given.flags & flag != 0;
    let leads = LARIAT_PROCESS_NEW_SESSION | LARIAT_PROCESS_NEW_GROUP | LARIAT_PROCESS_TERMINAL;
    if given.flags & !FLAGS != 0 {
        return Err(invalid(format_args!("options.flags is {:#x}, of which not all is known", given.flags)));
    }
    if has(LARIAT_PROCESS_KILL_GROUP) && !has(leads) {
        return Err(invalid("options.flags: a group is to be killed, but it is to lead none"));
    }
    if given.reserved != 0 {
        return Err(invalid("options.reserved is not 0"));
    }
    let program = convert::system_text("options.program", given.program)?;
    let arguments = convert::system_texts("options.arguments", given.arguments)?;
    let terminal = has(LARIAT_PROCESS_TERMINAL);
    let time_limit = convert::wait("options.time_limit", given.time_limit)?;
    let command = Command {
        arguments: arguments.unwrap_or_else(|| vec![program.clone()]),
        environment: convert::system_texts("options.environment", given.environment)?,
        directory: optional_text("options.directory", given.directory)?,
        new_session: has(LARIAT_PROCESS_NEW_SESSION) || terminal,
        new_group: has(LARIAT_PROCESS_NEW_GROUP),
        takes_terminal: terminal,
        user: identity("options.uid", given.uid)?,
        group: identity("options.gid", given.gid)?,
        ..Command::default()
    };
    Ok(How {
        program,
        search: has(LARIAT_PROCESS_SEARCH_PATH),
        command,
        descriptors: descriptors(&given, terminal, pipe_in)?,
        terminal: terminal.then_some((given.columns, given.rows)),
        kill_group: has(LARIAT_PROCESS_KILL_GROUP),
        kill_at_end: has(LARIAT_PROCESS_KILL_AT_END),
        time_limit,
        kill_after: convert::wait("options.kill_after", given.kill_after)?,
    })
}

fn optional_text(name: &str, text: *const c_char) -> Result<Option<CString>> {
    if text.is_null() { Ok(None) } else { convert::system_text(name, text).map(Some) }
}

fn identity(name: &str, number: i64) -> Result<Option<u32>> {
    // The last number is the system's own -1.
    let number = convert::within(name, number, (-1, i64::from(u32::MAX) - 1))?;
    Ok(u32::try_from(number).ok())
}

fn descriptors(given: &lariat_process_options, terminal: bool, pipe_in: bool) -> Result<Vec<(i32, What)>> {
    let list = convert::array("options.descriptors", given.descriptors, given.descriptor_count)?;
    let mut descriptors = Vec::new();
    descriptors.try_reserve(list.len().max(3)).map_err(|_| Status::ERR_NO_MEMORY)?;
    if list.is_empty() && !terminal {
        descriptors.push((0, if pipe_in { What::PipeIn } else { What::Null }));
        descriptors.extend([(1, What::PipeOut), (2, What::PipeOut)]);
    }
    for one in list {
        let number = convert::within("options.descriptors: child_fd", one.child_fd.into(), (0, 65535))? as i32;
        if descriptors.iter().any(|(other, _)| *other == number) || (terminal && number < 3) {
            return Err(invalid(format_args!("options.descriptors: {number} is given twice")));
        }
        let file = |to| Ok(What::File(convert::system_text("options.descriptors: path", one.path)?, to));
        let what = match one.kind {
            LARIAT_DESCRIPTOR_PIPE_IN => What::PipeIn,
            LARIAT_DESCRIPTOR_PIPE_OUT => What::PipeOut,
            LARIAT_DESCRIPTOR_INHERIT => What::Inherit(super::watcher::descriptor(one.fd)?),
            LARIAT_DESCRIPTOR_NULL => What::Null,
            LARIAT_DESCRIPTOR_FILE_READ => file(FileUse::Read)?,
            LARIAT_DESCRIPTOR_FILE_WRITE => file(FileUse::Write)?,
            LARIAT_DESCRIPTOR_FILE_APPEND => file(FileUse::Append)?,
            kind => return Err(invalid(format_args!("options.descriptors: {kind} is no kind of descriptor"))),
        };
        descriptors.push((number, what));
    }
    Ok(descriptors)
}
