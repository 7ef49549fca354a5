//! Groups: several reactors, each on a thread of the library's own, made, started and stopped together.

use crate::handles::{self, Body, GroupSetupFn, Item, Kind, Owned, Pools, Word};
use crate::platform;
use crate::reactor::{Message, Reactor, ReactorItem, close, hooks, posts, run};
use crate::status::{self, Result, Status};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What went wrong on another thread, with its words.
pub(super) type Trouble = (Status, Option<String>);

/// Makes a reactor of the thread that calls it.
pub type Make = Arc<dyn Fn() -> Result<ReactorItem> + Send + Sync>;

/// What a reactor's thread is told before its loop runs.
enum Command {
    Call(Message),
    Run,
}

/// What any thread may look at.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// A thread whose sender is gone ends, unless its loop runs.
    commands: Vec<Sender<Command>>,
    reactors: Vec<Word>,
    threads: Vec<JoinHandle<()>>,
    /// Threads that have not freed their reactor yet.
    alive: usize,
    stopped: bool,
    trouble: Option<Trouble>,
}

/// `lariat_reactor_group`
#[derive(Default)]
pub struct ReactorGroup {
    pools: Pools,
    size: Cell<u32>,
    make: RefCell<Option<Make>>,
    shared: RefCell<Arc<Shared>>,
    started: Cell<bool>,
    /// What the threads use, until they are over.
    kept: RefCell<Vec<Owned>>,
}

impl Body for ReactorGroup {
    const KIND: Kind = Kind::ReactorGroup;
    const SLOTS: u32 = 1;
    type Root = ReactorGroup;
    type Beside = ();

    fn end(_: Item<Self>) {}
}

/// The groups of the process by their handles, for calls by any thread.
static GROUPS: Mutex<BTreeMap<usize, Arc<Shared>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The group that this thread is one of.
    static OWN: Cell<Word> = const { Cell::new(Word::NULL) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(group: Word) -> Result<Arc<Shared>> {
    lock(&GROUPS).get(&group.addr()).cloned().ok_or(Status::ERR_STALE_HANDLE)
}

/// The same on this thread.
pub(super) fn told((status, words): Trouble) -> Status {
    match words {
        Some(words) => status.because(words),
        None => status,
    }
}

/// A group of so many reactors; 0: as many as there are processors. Nothing of it is made yet.
pub fn open(size: u32, make: Make) -> Result<Item<ReactorGroup>> {
    let group = handles::root::<ReactorGroup>(|group| &group.pools)?;
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    group.size.set(if size == 0 { processors() } else { size });
    *group.make.borrow_mut() = Some(make);
    *group.shared.borrow_mut() = Arc::default();
    group.started.set(false);
    lock(&GROUPS).insert(group.word().addr(), group.shared());
    Ok(group)
}

impl ReactorGroup {
    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.borrow())
    }

    /// How many reactors it has.
    pub fn size(&self) -> u32 {
        self.size.get()
    }

    /// Keeps what its threads use.
    pub(super) fn keep(&self, data: Owned) {
        self.kept.borrow_mut().push(data);
    }

    /// Refuses once it was started or stopped.
    pub(super) fn check_not_started(&self) -> Result {
        if self.started.get() {
            return Err(Status::ERR_INVALID_STATE.because("the group was started already"));
        }
        if lock(&self.shared().state).stopped {
            return Err(Status::ERR_CLOSED.because("the group was stopped"));
        }
        Ok(())
    }
}

/// Makes the threads and their reactors, unless they are there. What fails ends the group.
pub(super) fn open_threads(group: Item<ReactorGroup>) -> Result {
    let shared = group.shared();
    if !lock(&shared.state).threads.is_empty() {
        return Ok(());
    }
    let Some(make) = group.make.borrow().clone() else { return Err(Status::ERR_CLOSED) };
    let opened =
        (0..group.size.get()).try_for_each(|index| open_thread(group.word(), index, &shared, Arc::clone(&make)));
    opened.map_err(|why| give_up(group, why))
}

fn open_thread(group: Word, index: u32, shared: &Arc<Shared>, make: Make) -> Result {
    handles::check_memory(16 * 1024)?;
    let (commands, received) = unbounded();
    let (made, answer) = bounded(1);
    let theirs = Arc::clone(shared);
    let life = move || {
        OWN.set(group);
        let trouble = live(make, &received, made);
        theirs.leave(trouble);
    };
    let builder = std::thread::Builder::new().name(format!("lariat loop {index}"));
    lock(&shared.state).alive += 1;
    match platform::with_signals_blocked(|| builder.spawn(life)) {
        Ok(thread) => lock(&shared.state).threads.push(thread),
        Err(why) => {
            shared.leave(None);
            return Err(Status::ERR_OS.because(format_args!("starting the thread of a reactor: {why}")));
        }
    }
    let reactor = answer.recv().unwrap_or(Err((Status::ERR_PANIC, None))).map_err(told)?;
    let mut state = lock(&shared.state);
    state.reactors.push(reactor);
    if !state.stopped {
        state.commands.push(commands);
    }
    Ok(())
}

/// A thread's life: its reactor is made, does what it is told, runs, and is freed.
fn live(make: Make, commands: &Receiver<Command>, made: Sender<std::result::Result<Word, Trouble>>) -> Option<Trouble> {
    let opened = make().and_then(|reactor| handles::enter::<Reactor>(reactor.word()));
    // Nobody else can adopt it as long as this thread has access to it.
    let (reactor, access) = match opened {
        Ok(opened) => opened,
        Err(why) => {
            let _ = made.send(Err((why, status::detail_of(why))));
            return None;
        }
    };
    let word = reactor.word();
    let _ = made.send(Ok(word));
    let served = catch_unwind(AssertUnwindSafe(|| {
        let served = serve(reactor, commands);
        let trouble = served.err().map(|why| (why, status::detail_of(why)));
        let freed = close::free(reactor);
        trouble.or(freed.err().map(|why| (why, None)))
    }));
    // Its segment may be another reactor's by now.
    std::mem::forget(access);
    served.unwrap_or_else(|_| {
        let _ = catch_unwind(AssertUnwindSafe(|| hooks::panicked(reactor, "the loop of a group's reactor")));
        close::forget(word);
        Some((Status::ERR_PANIC, None))
    })
}

fn serve(reactor: ReactorItem, commands: &Receiver<Command>) -> Result {
    while let Ok(command) = commands.recv() {
        match command {
            Command::Call(call) => {
                let _out = reactor.call_out();
                call(reactor);
            }
            Command::Run => return run::run(reactor),
        }
    }
    Ok(())
}

impl Shared {
    /// A thread is over.
    fn leave(&self, trouble: Option<Trouble>) {
        let mut state = lock(&self.state);
        state.alive -= 1;
        state.trouble = state.trouble.take().or(trouble);
        self.ended.notify_all();
    }

    /// Waits until all threads are over.
    fn wait(&self) -> Result {
        let mut state = lock(&self.state);
        while state.alive != 0 {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let threads = std::mem::take(&mut state.threads);
        let trouble = state.trouble.clone();
        drop(state);
        threads.into_iter().for_each(|thread| drop(thread.join()));
        trouble.map_or(Ok(()), |trouble| Err(told(trouble)))
    }
}

/// Calls `call` on the thread of one of the reactors, whose loop does not run yet, and waits for its answer.
pub(super) fn call<R: Send + 'static>(
    group: Item<ReactorGroup>,
    index: u32,
    call: impl FnOnce(ReactorItem) -> Result<R> + Send + 'static,
) -> Result<R> {
    let (sender, receiver) = bounded(1);
    let message: Message = Box::new(move |reactor| {
        let _ = sender.send(call(reactor).map_err(|why| (why, status::detail_of(why))));
    });
    let commands = lock(&group.shared().state).commands.get(index as usize).cloned();
    let sent = commands.is_some_and(|commands| commands.send(Command::Call(message)).is_ok());
    if !sent {
        return Err(Status::ERR_CLOSED.because("the group was stopped"));
    }
    receiver.recv().unwrap_or(Err((Status::ERR_PANIC, None))).map_err(told)
}

/// Calls `setup` for each reactor, one after the other, and then runs their loops.
pub fn start(group: Item<ReactorGroup>, setup: Option<GroupSetupFn>, data: Owned) -> Result {
    group.check_not_started()?;
    open_threads(group)?;
    let word = data.word();
    for index in (0..group.size.get()).filter(|_| setup.is_some()) {
        let Some(setup) = setup else { continue };
        let done = call(group, index, move |reactor| match Status(setup(reactor.word(), index, word)) {
            Status::OK => Ok(()),
            why if why == status::last() => Err(told((why, status::last_message()))),
            why => Err(why),
        });
        // What was set up on the others ends before the data does.
        done.map_err(|why| give_up(group, why))?;
    }
    group.keep(data);
    group.started.set(true);
    let commands = lock(&group.shared().state).commands.clone();
    commands.into_iter().for_each(|commands| drop(commands.send(Command::Run)));
    Ok(())
}

fn ask_to_stop(reactor: ReactorItem) {
    // One whose loop is over needs no asking.
    let _ = run::stop(reactor);
}

/// Stops it, waits for that, and tells why.
fn give_up(group: Item<ReactorGroup>, why: Status) -> Status {
    let words = status::detail_of(why);
    let _ = stop(group.word());
    told((why, words))
}

/// Has all reactors stop, by way of their shutdown triggers, and waits until they are freed: but for a thread of the
/// group, which would wait for itself. By any thread.
pub fn stop(group: Word) -> Result {
    let shared = find(group)?;
    let mut state = lock(&shared.state);
    let first = !std::mem::replace(&mut state.stopped, true);
    let reactors = if first { state.reactors.clone() } else { Vec::new() };
    state.commands.clear();
    drop(state);
    for reactor in reactors {
        let _ = posts::post_message(reactor, Box::new(ask_to_stop));
    }
    if OWN.get() == group { Ok(()) } else { shared.wait() }
}

/// Waits until the loops of all reactors have ended.
pub fn wait(group: Item<ReactorGroup>) -> Result {
    if !group.started.get() {
        return Err(Status::ERR_NOT_RUNNING.because("the group was not started"));
    }
    group.shared().wait()
}

/// One of its reactors. By any thread.
pub fn reactor(group: Word, index: u32) -> Result<Word> {
    let shared = find(group)?;
    let state = lock(&shared.state);
    state.reactors.get(index as usize).copied().ok_or_else(|| {
        let count = state.reactors.len();
        Status::ERR_INVALID_ARGUMENT.because(format_args!("index is {index}, and the group has made {count} reactors"))
    })
}

/// Stops it, waits, and ends it.
pub fn free(group: Item<ReactorGroup>) -> Result {
    let _ = stop(group.word());
    lock(&GROUPS).remove(&group.word().addr());
    let owned = (group.kept.take(), group.make.take());
    group.shared.take();
    handles::release_root(group, &group.pools);
    drop(owned);
    Ok(())
}
