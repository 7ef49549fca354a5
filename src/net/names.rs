//! What the system is asked: the same name once at a time, however many wait for it.

use super::look_up_threads::{Answered, LookUpThreads, Question};
use super::resolver::{self, LookUp};
use crate::handles::{self, Word};
use crate::reactor::ReactorItem;
use crate::status::{Result, Status};
use std::cell::RefCell;
use std::collections::HashMap;

/// See the module.
#[derive(Default)]
pub(super) struct Names {
    /// Who waits for which answer. A name that hangs stays when nobody waits any more: asked again, it takes no more
    /// threads.
    asked: RefCell<HashMap<Question, Vec<Word>>>,
    threads: RefCell<LookUpThreads>,
}

impl Names {
    /// Asks for the look-up with this handle.
    pub(super) fn ask(&self, reactor: ReactorItem, question: Question, look_up: Word) -> Result {
        let mut asked = self.asked.borrow_mut();
        asked.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        if let Some(waiting) = asked.get_mut(&question) {
            waiting.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
            waiting.push(look_up);
            return Ok(());
        }
        self.threads.borrow_mut().ask(reactor, question.clone(), answered)?;
        asked.insert(question, vec![look_up]);
        Ok(())
    }

    /// The look-up waits no more.
    pub(super) fn forget(&self, question: &Question, look_up: Word) {
        let mut asked = self.asked.borrow_mut();
        let Some(waiting) = asked.get_mut(question) else { return };
        waiting.retain(|waits| *waits != look_up);
        if waiting.is_empty() && self.threads.borrow_mut().take_back(question) {
            asked.remove(question);
        }
    }

    /// Ends the threads; one at a look-up that hangs is not waited for.
    pub(super) fn close(&self) {
        self.asked.take();
        self.threads.take().close();
    }
}

/// On the reactor's thread: a thread has the answer.
fn answered(reactor: ReactorItem, question: Question, answered: Answered) {
    let Some(network) = super::opened(reactor) else { return };
    let waiting = network.names.asked.borrow_mut().remove(&question).unwrap_or_default();
    for look_up in waiting {
        if let Ok(look_up) = handles::get::<LookUp>(look_up) {
            resolver::system_answered(look_up, &answered);
        }
    }
}
