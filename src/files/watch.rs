//! Watching files and directories: what the system tells of them, or what is found by looking from time to time, becomes
//! changes that are told in order. `tree` knows what is there, `compare` what is different.

use super::compare::{GONE, Known, Place};
use super::tree::{self, Tree, Watching};
use super::trouble::Trouble;
use crate::driver::{Readiness, Ready};
use crate::handles::{self, Body, FreeFn, Item, Kind, Owned, Word};
use crate::platform::{self, ChangeNotifier, Happening, Notice};
use crate::reactor::timers::{self, DelayedCall, SECOND};
use crate::reactor::{Reactor, ReactorItem, Served, events, hooks, scopes};
use crate::status::{Result, Status};
use crate::threads::pool;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// So much of what has happened is read in one go.
const ROOM: usize = 32 * 1024;
/// So many changes are told in one go.
const TOLD: usize = 256;
/// So long the half of a move is waited for: the system tells of both at once.
const HALF: u64 = SECOND / 50;
/// Between two looks, unless set.
const INTERVAL: u64 = SECOND;
/// At least between them.
const SHORTEST: u64 = SECOND / 1000;

/// What a reactor watches by, made when it is first needed.
#[derive(Default)]
pub struct FileWatches {
    notifier: RefCell<Option<ChangeNotifier>>,
    /// Who wants to know of the directory with this number.
    users: RefCell<HashMap<i32, Vec<Word>>>,
    /// Watches whose events have no room in the queue; meanwhile nothing is read.
    held: Cell<u32>,
    is_unread: Cell<bool>,
}

impl Body for FileWatches {
    const KIND: Kind = Kind::FileWatches;
    const SLOTS: u32 = 1;
    type Root = Reactor;
    type Beside = ();

    fn end(watches: Item<Self>) {
        let reactor = watches.root();
        Self::close(watches);
        watches.users.take();
        watches.held.set(0);
        watches.is_unread.set(false);
        reactor.file_watches.set(0);
        reactor.pools.free(watches);
    }
}

impl Served for FileWatches {
    fn ready(reactor: ReactorItem, made: Item<Self>, ready: Ready) {
        received(reactor, made, ready);
    }

    fn close(made: Item<Self>) {
        if let Some(notifier) = made.notifier.take() {
            let _ = made.root().driver().unwatch(notifier.descriptor());
        }
    }
}

/// A change, as it is told.
pub struct Told {
    /// What it is.
    pub kind: i32,
    /// Of what.
    pub path: Vec<u8>,
    /// What it was called before.
    pub from: Option<Vec<u8>>,
    /// It is a directory.
    pub is_directory: bool,
}

/// What a watch does when there is a change.
#[derive(Clone)]
pub enum Action {
    /// Calls: watch, change, user data.
    Call(Rc<dyn Fn(Word, Told, Word)>),
    /// Queues an event with this tag, whose value is made of the change.
    Event(u64, fn(Told) -> Result<Owned>),
}

/// A watched file or directory.
#[derive(Default)]
pub struct FileWatch {
    tree: RefCell<Option<Tree>>,
    /// As it was given.
    path: RefCell<Vec<u8>>,
    /// None: it was stopped.
    action: RefCell<Option<Action>>,
    data: Cell<Word>,
    free: Cell<Option<FreeFn>>,
    scope: Cell<u32>,
    calling: Cell<bool>,
    /// Its next event waits for room.
    is_held: Cell<bool>,
    /// It looks from time to time.
    is_polling: Cell<bool>,
    interval: Cell<u64>,
    /// When the next look is due, or the wait for the other half of a move is over.
    timer: Cell<Word>,
    /// The job that looks; 0 none.
    job: Cell<u64>,
}

impl Body for FileWatch {
    const KIND: Kind = Kind::FileWatch;
    const SLOTS: u32 = 16;
    type Root = Reactor;
    type Beside = ();

    fn end(watch: Item<Self>) {
        let _ = stop(watch);
    }
}

impl Served for FileWatch {
    fn ready(reactor: ReactorItem, watch: Item<Self>, _: Ready) {
        let_go_on(reactor, watch);
        tell(reactor, watch.word());
    }
}

impl FileWatch {
    /// Whether it looks from time to time.
    pub fn is_polling(&self) -> bool {
        self.is_polling.get()
    }

    fn is_stopped(&self) -> bool {
        self.action.borrow().is_none()
    }

    fn with_tree<R>(&self, call: impl FnOnce(&mut Tree) -> R) -> Option<R> {
        self.tree.borrow_mut().as_mut().map(call)
    }
}

/// A watch, in what it asks of the system.
struct User(ReactorItem, Word);

impl User {
    fn all(&self) -> Option<Item<FileWatches>> {
        (self.0.file_watches.get() != 0).then(|| Item::<FileWatches>::at(self.0.file_watches.get()))
    }
}

impl Watching for User {
    fn add(&self, directory: &Path, follow: bool) -> io::Result<i32> {
        let all = self.all().ok_or(io::ErrorKind::Unsupported)?;
        let notifier = all.notifier.borrow();
        let number = notifier.as_ref().ok_or(io::ErrorKind::Unsupported)?.add(directory, follow)?;
        let mut users = all.users.borrow_mut();
        let users = users.entry(number).or_default();
        if !users.contains(&self.1) {
            users.push(self.1);
        }
        Ok(number)
    }

    fn remove(&self, number: i32) {
        let Some(all) = self.all() else { return };
        let mut users = all.users.borrow_mut();
        let Some(of_number) = users.get_mut(&number) else { return };
        of_number.retain(|user| *user != self.1);
        if of_number.is_empty() {
            users.remove(&number);
            if let Some(notifier) = &*all.notifier.borrow() {
                notifier.remove(number);
            }
        }
    }
}

/// How it is watched.
#[derive(Clone, Copy)]
pub struct How {
    /// With all that is below it.
    pub is_recursive: bool,
    /// By looking.
    pub polls: bool,
}

/// Watches a file or directory.
pub fn watch(reactor: ReactorItem, path: PathBuf, how: How, action: Action, data: Owned) -> Result<Item<FileWatch>> {
    reactor.check_system("files")?;
    handles::check_memory(ROOM)?;
    let refused = |why: &io::Error| {
        let trouble = Trouble::at("watching", &path, why);
        trouble.status.because(trouble.message)
    };
    let place = place_of(&path, how.is_recursive).map_err(|why| refused(&why))?;
    let watch = reactor.pools.alloc::<FileWatch>()?;
    let scope = reactor.scope.get();
    let joined = if scope == 0 { Ok(()) } else { scopes::join(reactor, scope, watch.word()) };
    joined.inspect_err(|_| reactor.pools.free(watch))?;
    watch.interval.set(INTERVAL);
    *watch.path.borrow_mut() = platform::bytes_of(path.as_os_str());
    let mut tree = Tree::new(place);
    let by_system = if how.polls { Err(None) } else { learn_by_system(reactor, watch, &mut tree) };
    let learnt = match &by_system {
        Ok(()) => Ok(()),
        Err(Some(why)) if tree::is_gone(why) || why.kind() == io::ErrorKind::PermissionDenied => Err(refused(why)),
        Err(_) => tree.learn(None).map_err(|why| refused(&why)),
    };
    learnt.inspect_err(|_| reactor.pools.free(watch))?;
    *watch.tree.borrow_mut() = Some(tree);
    *watch.action.borrow_mut() = Some(action);
    watch.scope.set(scope);
    watch.calling.set(false);
    watch.is_held.set(false);
    watch.timer.set(Word::NULL);
    watch.job.set(0);
    let (word, free) = data.into_parts();
    watch.data.set(word);
    watch.free.set(free);
    reactor.above.by_kind.serve::<FileWatch>();
    watch.is_polling.set(by_system.is_err());
    if let Err(why) = by_system {
        if let Some(why) = why {
            warn(reactor, watch, &why);
        }
        look_later(reactor, watch);
    }
    Ok(watch)
}

/// What the path is: a directory, or a file in one, which may be replaced by another of its name.
fn place_of(path: &Path, is_recursive: bool) -> io::Result<Place> {
    if fs::metadata(path)?.is_dir() {
        return Ok(Place { directory: path.to_path_buf(), only: None, is_recursive });
    }
    // A link to a file stands for that.
    let path = if fs::symlink_metadata(path)?.is_symlink() { fs::canonicalize(path)? } else { path.to_path_buf() };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(Place { directory: parent.to_path_buf(), only: Some(platform::bytes_of(name)), is_recursive: false })
}

/// Has the system tell of changes, and learns what is there. None: the system never tells.
fn learn_by_system(
    reactor: ReactorItem,
    watch: Item<FileWatch>,
    tree: &mut Tree,
) -> std::result::Result<(), Option<io::Error>> {
    let user = User(reactor, watch.word());
    let learnt = open(reactor).and_then(|()| tree.learn(Some(&user)));
    learnt.map_err(|why| {
        tree.let_go(&user);
        if why.kind() == io::ErrorKind::Unsupported { None } else { Some(why) }
    })
}

fn open(reactor: ReactorItem) -> io::Result<()> {
    if reactor.file_watches.get() != 0 {
        return Ok(());
    }
    let notifier = ChangeNotifier::new()?;
    let made = reactor.pools.alloc::<FileWatches>().map_err(|_| io::ErrorKind::OutOfMemory)?;
    let readable = Readiness { readable: true, writable: false };
    if reactor.driver().watch(notifier.descriptor(), made.word(), readable).is_err() {
        reactor.pools.free(made);
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    *made.notifier.borrow_mut() = Some(notifier);
    reactor.file_watches.set(made.index());
    reactor.above.by_kind.serve::<FileWatches>();
    Ok(())
}

#[cold]
fn warn(reactor: ReactorItem, watch: Item<FileWatch>, why: &io::Error) {
    let path = String::from_utf8_lossy(&watch.path.borrow()).into_owned();
    let missing = platform::watches_missing(why).map_or_else(String::new, |limit| format!("; {limit} is too low"));
    let seconds = watch.interval.get() as f64 / SECOND as f64;
    let text = format!("watching {path}: {why}{missing}; it is looked at every {seconds} s instead");
    hooks::log(reactor, hooks::WARNING, text);
}

/// The system tells of changes.
fn received(reactor: ReactorItem, made: Item<FileWatches>, ready: Ready) {
    if made.held.get() != 0 {
        made.is_unread.set(true);
        return;
    }
    if read(reactor, made) {
        let readiness = Readiness { readable: true, writable: false };
        reactor.ready_again(Ready { key: ready.key, readiness, ended: false });
    }
}

/// Reads some of what the system tells. False: there is no more.
fn read(reactor: ReactorItem, made: Item<FileWatches>) -> bool {
    let mut buffer = [0; ROOM];
    let mut concerned: Vec<Word> = Vec::new();
    let was_some = match &*made.notifier.borrow() {
        Some(notifier) => notifier.read(&mut buffer, |notice| {
            for watch in users_of(reactor, made, &notice) {
                happened(reactor, watch, &notice);
                if concerned.last() != Some(&watch) && !concerned.contains(&watch) {
                    concerned.push(watch);
                }
            }
            if notice.what == Happening::Unwatched {
                made.users.borrow_mut().remove(&notice.watch);
            }
        }),
        None => Ok(false),
    };
    concerned.into_iter().for_each(|watch| tell(reactor, watch));
    was_some.unwrap_or_else(|why| why.kind() == io::ErrorKind::Interrupted)
}

fn users_of(reactor: ReactorItem, made: Item<FileWatches>, notice: &Notice) -> Vec<Word> {
    if notice.what != Happening::Overflow {
        return made.users.borrow().get(&notice.watch).cloned().unwrap_or_default();
    }
    let all = reactor.pools.all::<FileWatch>().into_iter();
    all.filter(|watch| !watch.is_stopped() && !watch.is_polling()).map(Item::word).collect()
}

fn happened(reactor: ReactorItem, word: Word, notice: &Notice) {
    let Ok(watch) = handles::get::<FileWatch>(word) else { return };
    let user = User(reactor, word);
    if let Some(Err(why)) = watch.with_tree(|tree| tree.happened(&user, notice)) {
        // From here on what is different is found by looking, from what was known on.
        watch.with_tree(|tree| {
            tree.give_up_halves(&user);
            tree.let_go(&user);
        });
        watch.is_polling.set(true);
        warn(reactor, watch, &why);
    }
}

/// Tells the changes of a watch that need not wait.
fn tell(reactor: ReactorItem, word: Word) {
    for _ in 0..TOLD {
        // One that was stopped by a sibling is stale.
        let Ok(watch) = handles::get::<FileWatch>(word) else { return };
        let Some(action) = watch.action.borrow().clone() else { return };
        if watch.is_held.get() {
            return;
        }
        if watch.with_tree(|tree| tree.has_next()) != Some(true) {
            return rest(reactor, watch);
        }
        if matches!(action, Action::Event(..)) && events::hold_if_full(reactor, word) {
            watch.is_held.set(true);
            note_held(reactor, 1);
            return;
        }
        tell_one(reactor, watch, action);
    }
    let readiness = Readiness { readable: true, writable: false };
    reactor.ready_again(Ready { key: word, readiness, ended: false });
}

fn tell_one(reactor: ReactorItem, watch: Item<FileWatch>, action: Action) {
    let Some((Some(change), is_file)) = watch.with_tree(|tree| (tree.pop(), tree.place().only.is_some())) else {
        return;
    };
    let whole = |below: &[u8]| {
        let path = watch.path.borrow();
        if is_file || below.is_empty() {
            return path.clone();
        }
        let separator: &[u8] = if path.ends_with(b"/") { b"" } else { b"/" };
        [path.as_slice(), separator, below].concat()
    };
    let told = Told {
        kind: change.kind,
        path: whole(&change.path),
        from: change.from.as_deref().map(whole),
        is_directory: change.is_directory,
    };
    let was_last = change.kind == GONE;
    match action {
        Action::Event(tag, own) => match own(told) {
            Ok(value) => {
                let event = events::Event { kind: events::FILE_CHANGED, tag, value, ..Default::default() };
                events::push(reactor, events::Event { source: watch.word(), ..event });
            }
            Err(why) => hooks::log(reactor, hooks::ERROR, format!("a change of a file is not told: {why:?}")),
        },
        Action::Call(call) => {
            watch.calling.set(true);
            let _out = reactor.call_out();
            reactor.in_scope(watch.scope.get(), || call(watch.word(), told, watch.data.get()));
            watch.calling.set(false);
            if watch.is_stopped() {
                finish(reactor, watch);
                return;
            }
        }
    }
    if was_last {
        let _ = stop(watch);
    }
}

/// Nothing is to be told now: what comes next by time?
fn rest(reactor: ReactorItem, watch: Item<FileWatch>) {
    if watch.with_tree(|tree| tree.has_halves()) == Some(true) {
        set_timer(reactor, watch, HALF);
    } else if watch.is_polling() {
        look_later(reactor, watch);
    }
}

fn note_held(reactor: ReactorItem, by: i32) {
    if reactor.file_watches.get() == 0 {
        return;
    }
    let made = Item::<FileWatches>::at(reactor.file_watches.get());
    made.held.set(made.held.get().saturating_add_signed(by));
    if made.held.get() == 0 && made.is_unread.replace(false) {
        let readiness = Readiness { readable: true, writable: false };
        reactor.ready_again(Ready { key: made.word(), readiness, ended: false });
    }
}

fn let_go_on(reactor: ReactorItem, watch: Item<FileWatch>) {
    if watch.is_held.replace(false) {
        note_held(reactor, -1);
    }
}

/// There is room for the events of a watch, or its turn has come again.
/// One timer serves: a watch either looks, or is told of moves.
fn set_timer(reactor: ReactorItem, watch: Item<FileWatch>, after: u64) {
    if !watch.timer.get().is_null() {
        return;
    }
    let deadline = reactor.read_clock().saturating_add(after);
    match timers::call_at(reactor, deadline, due, watch.word()) {
        Ok(timer) => watch.timer.set(timer.word()),
        // Without memory for a timer it does not wait.
        Err(_) => {
            let readiness = Readiness { readable: true, writable: false };
            reactor.ready_again(Ready { key: watch.word(), readiness, ended: false });
        }
    }
}

fn clear_timer(watch: Item<FileWatch>) {
    if let Ok(timer) = handles::get::<DelayedCall>(watch.timer.replace(Word::NULL)) {
        let _ = timers::cancel(timer);
    }
}

fn look_later(reactor: ReactorItem, watch: Item<FileWatch>) {
    if watch.job.get() == 0 {
        set_timer(reactor, watch, watch.interval.get());
    }
}

extern "C-unwind" fn due(word: Word) {
    let Ok(watch) = handles::get::<FileWatch>(word) else { return };
    let reactor = watch.root();
    watch.timer.set(Word::NULL);
    if watch.is_polling() {
        return look(reactor, watch);
    }
    // The other half may have come, and not be read.
    let made = Item::<FileWatches>::at(reactor.file_watches.get());
    while made.held.get() == 0 && read(reactor, made) {}
    if handles::get::<FileWatch>(word).is_ok() && !watch.is_stopped() {
        watch.with_tree(|tree| tree.give_up_halves(&User(reactor, word)));
        tell(reactor, word);
    }
}

/// Has a pool thread look what is there.
fn look(reactor: ReactorItem, watch: Item<FileWatch>) {
    let Some(place) = watch.with_tree(|tree| tree.place().clone()) else { return };
    let word = watch.word();
    let work = move || place.look(&[], &mut |_| Ok(()));
    let job = pool::run_inside(
        reactor,
        watch.scope.get(),
        Box::new(move |_| {
            let found = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(io::ErrorKind::Other.into()));
            Box::new(move |reactor, _| seen(reactor, word, found))
        }),
        Word::NULL,
    );
    match job {
        Ok(number) => watch.job.set(number),
        // As many jobs wait as may: the next look is another try.
        Err(_) => look_later(reactor, watch),
    }
}

/// This is there now.
fn seen(reactor: ReactorItem, word: Word, found: io::Result<Known>) {
    let Ok(watch) = handles::get::<FileWatch>(word) else { return };
    watch.job.set(0);
    match found {
        Ok(now) => drop(watch.with_tree(|tree| tree.compare(now))),
        Err(why) if tree::is_gone(&why) => drop(watch.with_tree(|tree| tree.gone(&User(reactor, word)))),
        // It may be seen again next time.
        Err(_) => {}
    }
    tell(reactor, word);
}

/// Another time between two looks.
pub fn set_interval(watch: Item<FileWatch>, interval: u64) -> Result {
    if watch.is_stopped() {
        return Err(Status::ERR_CLOSED);
    }
    watch.interval.set(interval.max(SHORTEST));
    if watch.is_polling() && !watch.timer.get().is_null() {
        clear_timer(watch);
        look_later(watch.root(), watch);
    }
    Ok(())
}

/// Watches no more. Inside its own callback its data is freed once that has returned.
pub fn stop(watch: Item<FileWatch>) -> Result {
    if watch.action.take().is_none() {
        return Err(Status::ERR_CLOSED);
    }
    let reactor = watch.root();
    clear_timer(watch);
    if watch.job.get() != 0 {
        pool::give_up(reactor, watch.job.replace(0));
    }
    watch.with_tree(|tree| tree.let_go(&User(reactor, watch.word())));
    let_go_on(reactor, watch);
    if !watch.calling.get() {
        finish(reactor, watch);
    }
    Ok(())
}

fn finish(reactor: ReactorItem, watch: Item<FileWatch>) {
    let data = Owned::new(watch.data.get(), watch.free.take());
    let scope = watch.scope.get();
    drop((watch.tree.take(), watch.path.take()));
    let _out = reactor.call_out();
    reactor.pools.free(watch);
    reactor.in_scope(scope, || drop(data));
}
