//! The threads that ask the system for names: a reactor's own, apart from its pool, so that a slow look-up holds up no
//! job, and no other look-up while a thread is left. They come when there is work and go when there is none.

use crate::driver::Family;
use crate::handles::Word;
use crate::platform::{self, NameError};
use crate::reactor::{Message, ReactorItem, posts};
use crate::status::{Result, Status};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Threads at most: as many names may hang before others have to wait.
const MOST: usize = 8;
/// An idle thread ends after this.
const IDLE: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Question {
    /// The name.
    pub name: String,
    /// None: both.
    pub family: Option<Family>,
}

/// What the system answered.
pub type Answered = std::result::Result<Vec<SocketAddr>, NameError>;

/// Called on the reactor's thread with what was answered.
pub type Tell = fn(ReactorItem, Question, Answered);

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    idle: usize,
    /// At a look-up, which may take long.
    busy: usize,
    alive: usize,
    /// Numbers of threads that have ended, or are about to.
    ended: Vec<u64>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a question, or no more will come.
    changed: Condvar,
    /// A thread has ended.
    left: Condvar,
}

/// See the module.
#[derive(Default)]
pub struct LookUpThreads {
    shared: Arc<Shared>,
    handles: Vec<(u64, JoinHandle<()>)>,
    next: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next question; None: the thread ends.
    fn next(&self, number: u64) -> Option<Question> {
        let mut state = self.lock();
        loop {
            if let Some(question) = state.waiting.pop_front() {
                state.busy += 1;
                return Some(question);
            }
            let mut timed_out = false;
            if !state.closed {
                state.idle += 1;
                let waited = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                (state, timed_out) = (waited.0, waited.1.timed_out());
                state.idle -= 1;
            }
            if state.closed || (timed_out && state.waiting.is_empty()) {
                state.alive -= 1;
                state.ended.push(number);
                self.left.notify_all();
                return None;
            }
        }
    }

    fn work(&self, number: u64, reactor: Word, tell: Tell) {
        while let Some(question) = self.next(number) {
            let v6 = question.family.map(|family| family == Family::V6);
            let answered = platform::look_up(&question.name, v6);
            // From here on it is waited for: it may hold what wakes the reactor, a descriptor.
            self.lock().busy -= 1;
            let message: Message = Box::new(move |reactor| tell(reactor, question, answered));
            // Of a reactor that is gone nobody waits for it.
            let _ = posts::post_message(reactor, message);
        }
    }
}

impl LookUpThreads {
    /// Has a thread look it up and `tell` the answer.
    pub fn ask(&mut self, reactor: ReactorItem, question: Question, tell: Tell) -> Result {
        self.join_ended();
        let mut state = self.shared.lock();
        state.waiting.try_reserve(1).map_err(|_| Status::ERR_NO_MEMORY)?;
        state.waiting.push_back(question);
        let wanted = state.waiting.len() > state.idle && state.alive < MOST;
        drop(state);
        if wanted {
            if let Err(why) = self.start_thread(reactor.word(), tell) {
                let mut state = self.shared.lock();
                if state.alive == 0 {
                    state.waiting.clear();
                    return Err(Status::ERR_OS.because(format_args!("starting a thread to look a name up: {why}")));
                }
            }
        }
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Takes a question back that no thread has begun with. False: one has.
    pub fn take_back(&mut self, question: &Question) -> bool {
        let mut state = self.shared.lock();
        let place = state.waiting.iter().position(|waiting| waiting == question);
        place.is_some_and(|place| state.waiting.remove(place).is_some())
    }

    fn start_thread(&mut self, reactor: Word, tell: Tell) -> std::io::Result<()> {
        let (shared, number) = (Arc::clone(&self.shared), self.next);
        self.next += 1;
        self.shared.lock().alive += 1;
        let builder = std::thread::Builder::new().name("lariat names".into());
        match platform::with_signals_blocked(|| builder.spawn(move || shared.work(number, reactor, tell))) {
            Ok(handle) => {
                self.handles.push((number, handle));
                Ok(())
            }
            Err(why) => {
                self.shared.lock().alive -= 1;
                Err(why)
            }
        }
    }

    fn join_ended(&mut self) {
        let ended = std::mem::take(&mut self.shared.lock().ended);
        for number in ended {
            if let Some(place) = self.handles.iter().position(|(of, _)| *of == number) {
                drop(self.handles.swap_remove(place).1.join());
            }
        }
    }

    /// Ends the threads: those that wait for a question at once; one that is at a look-up when that returns, which is not
    /// waited for.
    pub fn close(mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.waiting.clear();
        self.shared.changed.notify_all();
        while state.alive > state.busy {
            state = self.shared.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.join_ended();
    }
}
