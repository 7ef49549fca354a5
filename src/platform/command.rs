//! What a child process is to be, and how it ends: the words of it that all platforms share.

use super::Socket;
use std::ffi::CString;
use std::io;

/// What is to be started, and how.
#[derive(Default)]
pub struct Command {
    /// Paths of the program, tried in order.
    pub candidates: Vec<CString>,
    /// What it gets, its name first.
    pub arguments: Vec<CString>,
    /// NAME=value each; None: the parent's.
    pub environment: Option<Vec<CString>>,
    /// Where it begins; None: where the parent is.
    pub directory: Option<CString>,
    /// It leads a session of its own.
    pub new_session: bool,
    /// It leads a process group of its own.
    pub new_group: bool,
    /// Its descriptor 0 is the terminal of its session.
    pub takes_terminal: bool,
    /// The user that it becomes.
    pub user: Option<u32>,
    /// The group that it becomes one of.
    pub group: Option<u32>,
    /// Its descriptors: their numbers there, and what they are here. It has no others.
    pub descriptors: Vec<(Socket, Socket)>,
}

/// What could not be done, and why.
#[derive(Debug)]
pub struct SpawnError {
    /// What it was.
    pub step: Step,
    /// The descriptor's number in the child, where it was about one.
    pub descriptor: Socket,
    /// What the system said.
    pub error: io::Error,
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self { step: Step::Start, descriptor: 0, error }
    }
}

/// The paths that a program may have: itself if it has a slash or is not searched for, else one in each folder of `path`.
pub fn candidates(program: &[u8], path: Option<&[u8]>) -> io::Result<Vec<CString>> {
    let path = match path {
        Some(path) if !program.contains(&b'/') && !program.is_empty() => path,
        _ => return Ok(vec![CString::new(program)?]),
    };
    let of_folder = |folder: &[u8]| {
        // An empty folder is the present one.
        let folder = if folder.is_empty() { b"." } else { folder };
        CString::new([folder, b"/", program].concat())
    };
    Ok(path.split(|byte| *byte == b':').map(of_folder).collect::<Result<_, _>>()?)
}

/// How a child has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal; whether it has left a core behind.
    Signal(i32, bool),
    /// Somebody else has waited for it.
    Unknown,
}

/// What a child does, for the message of what it could not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
#[expect(missing_docs, reason = "what is not said here is said by the name")]
pub enum Step {
    /// It was not even born.
    Start = 1,
    Session,
    Group,
    Descriptor,
    Terminal,
    Directory,
    Identity,
    Program,
}

impl Step {
    /// The step with this number.
    #[cfg(unix)]
    pub(super) fn from_number(number: i32) -> Option<Self> {
        const ALL: [Step; 8] = [
            Step::Start,
            Step::Session,
            Step::Group,
            Step::Descriptor,
            Step::Terminal,
            Step::Directory,
            Step::Identity,
            Step::Program,
        ];
        ALL.into_iter().find(|step| *step as i32 == number)
    }
}

/// What a child does with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileUse {
    /// It reads it.
    Read,
    /// It writes it anew.
    Write,
    /// It writes behind what is there.
    Append,
}
