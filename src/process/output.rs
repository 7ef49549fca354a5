//! What a process has written and how it has ended, as a value.

use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::platform::Exit;
use crate::reactor::{Reactor, ReactorItem};
use crate::status::{Result, Status};
use std::cell::{Cell, RefCell};

/// What was written to each descriptor.
pub type Written = Vec<(i32, Vec<u8>)>;

/// See the module.
#[derive(Default)]
pub struct ProcessOutput {
    written: RefCell<Written>,
    exit: Cell<Option<Exit>>,
}

impl Body for ProcessOutput {
    const KIND: Kind = Kind::ProcessOutput;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(output: Item<Self>) {
        free(output);
    }
}

/// Output as a value: freed with it.
pub fn make(reactor: ReactorItem, written: Written, exit: Option<Exit>) -> Result<Owned> {
    let output = reactor.pools.alloc::<ProcessOutput>()?;
    *output.written.borrow_mut() = written;
    output.exit.set(exit);
    const FREE: FreeFn = free_word;
    Ok(Owned::new(output.word(), Some(FREE)))
}

extern "C-unwind" fn free_word(word: Word) {
    if let Ok(output) = handles::get::<ProcessOutput>(word) {
        free(output);
    }
}

/// Ends it, whoever has the handle.
pub fn free(output: Item<ProcessOutput>) {
    output.written.take();
    output.root().pools.free(output);
}

impl ProcessOutput {
    /// What was written to a descriptor, in memory that lives as long as this; and how much.
    pub fn written(&self, child_fd: i32) -> Result<(Word, usize)> {
        let written = self.written.borrow();
        let Some((_, data)) = written.iter().find(|(number, _)| *number == child_fd) else {
            let why = format_args!("nothing was collected from descriptor {child_fd}");
            return Err(Status::ERR_INVALID_ARGUMENT.because(why));
        };
        Ok((Word::new(data.as_ptr()), data.len()))
    }

    /// How the process has ended.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.get()
    }
}
