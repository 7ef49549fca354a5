//! What is known of a watched directory, kept so by what the system tells, and the changes that are still to be told.

use super::compare::{
    self, ATTRIBUTES, CREATED, Change, Entry, GONE, Known, MODIFIED, MOVED, OVERFLOW, Place, REMOVED,
};
use crate::platform::{Happening, Notice};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::Path;

/// Has directories watched by the system.
pub trait Watching {
    /// Watches one; its number.
    fn add(&self, directory: &Path, follow: bool) -> io::Result<i32>;
    /// Watches it no more, unless somebody else does.
    fn remove(&self, number: i32);
}

/// What was taken out with a path, and the numbers of the directories in it.
type Taken = (Vec<(Vec<u8>, Entry)>, Vec<(Vec<u8>, i32)>);

/// What is to be told, in this order.
enum Next {
    Change(Change),
    /// Something has lost its name. It waits for its other half: what comes behind it waits too.
    Left {
        cookie: u32,
        from: Vec<u8>,
        taken: Taken,
    },
}

/// See the module.
pub struct Tree {
    place: Place,
    known: Known,
    /// The watched directories by their numbers, and the other way round.
    directories: HashMap<i32, Vec<u8>>,
    numbers: BTreeMap<Vec<u8>, i32>,
    next: VecDeque<Next>,
    /// Paths whose last change that is to be told is that they were created, or modified.
    fresh: HashMap<Vec<u8>, i32>,
    is_gone: bool,
}

impl Tree {
    /// One of which nothing is known yet.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            known: Known::new(),
            directories: HashMap::new(),
            numbers: BTreeMap::new(),
            next: VecDeque::new(),
            fresh: HashMap::new(),
            is_gone: false,
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Learns what is there, which is no change.
    pub fn learn(&mut self, watching: Option<&dyn Watching>) -> io::Result<()> {
        self.known = self.look(watching, &[])?;
        Ok(())
    }

    /// Looks at what is below a path, and has it watched: each directory before it is read, so that nothing is missed.
    fn look(&mut self, watching: Option<&dyn Watching>, start: &[u8]) -> io::Result<Known> {
        let (place, directories, numbers) = (&self.place, &mut self.directories, &mut self.numbers);
        place.look(start, &mut |directory| {
            let Some(watching) = watching else { return Ok(()) };
            // Links are followed to what is watched, and not inside of it.
            let number = watching.add(&place.path_of(directory), directory.is_empty())?;
            let before = numbers.insert(directory.to_vec(), number).filter(|before| *before != number);
            // One that has another path by now is watched there.
            if let Some(before) = before.filter(|before| directories.get(before).is_some_and(|of| of == directory)) {
                directories.remove(&before);
                watching.remove(before);
            }
            directories.insert(number, directory.to_vec());
            Ok(())
        })
    }

    /// Has nothing watched any more.
    pub fn let_go(&mut self, watching: &dyn Watching) {
        self.numbers.clear();
        self.directories.drain().for_each(|(number, _)| watching.remove(number));
    }

    /// The next change, if it need not wait.
    pub fn pop(&mut self) -> Option<Change> {
        if !matches!(self.next.front()?, Next::Change(_)) {
            return None;
        }
        let Some(Next::Change(change)) = self.next.pop_front() else { return None };
        self.fresh.remove(&change.path);
        Some(change)
    }

    /// Whether there is one.
    pub fn has_next(&self) -> bool {
        matches!(self.next.front(), Some(Next::Change(_)))
    }

    /// Whether the half of a move waits for the other.
    pub fn has_halves(&self) -> bool {
        self.next.iter().any(|next| matches!(next, Next::Left { .. }))
    }

    fn push(&mut self, change: Change) {
        match change.kind {
            CREATED | MODIFIED => drop(self.fresh.insert(change.path.clone(), change.kind)),
            _ => drop(self.fresh.remove(&change.path)),
        }
        self.next.push_back(Next::Change(change));
    }

    /// Something has happened. An error: it cannot be watched any further.
    pub fn happened(&mut self, watching: &dyn Watching, notice: &Notice) -> io::Result<()> {
        if self.is_gone {
            return Ok(());
        }
        if notice.what == Happening::Overflow {
            return self.overflow(watching);
        }
        let Some(directory) = self.directories.get(&notice.watch).cloned() else { return Ok(()) };
        match notice.what {
            Happening::Unwatched => {
                self.directories.remove(&notice.watch);
                if self.numbers.get(&directory) == Some(&notice.watch) {
                    self.numbers.remove(&directory);
                }
                return Ok(());
            }
            Happening::DirectoryGone | Happening::DirectoryMoved => {
                // Of any other directory the one that it is in tells.
                if directory.is_empty() {
                    self.gone(watching);
                }
                return Ok(());
            }
            // Of one that is not known any more nothing is told.
            _ if !directory.is_empty() && !self.known.contains_key(&directory) => return Ok(()),
            _ if notice.name.is_empty() || self.place.only.as_deref().is_some_and(|only| only != notice.name) => {
                return Ok(());
            }
            _ => {}
        }
        let path = compare::join(&directory, notice.name);
        match notice.what {
            Happening::Created => self.appeared(watching, &path, notice.is_directory)?,
            Happening::Deleted => self.disappeared(watching, &path),
            Happening::MovedFrom => self.left(path, notice),
            Happening::MovedTo => self.arrived(watching, &path, notice)?,
            Happening::Modified => {
                if let Some(entry) = self.known.get_mut(&path) {
                    entry.is_touched = true;
                    if !self.fresh.contains_key(&path) {
                        self.push(Change::of(MODIFIED, &path, false));
                    }
                }
            }
            Happening::Attributes => self.attributes(&path),
            _ => {}
        }
        Ok(())
    }

    fn attributes(&mut self, path: &[u8]) {
        let Some(entry) = self.known.get(path) else { return };
        let change = Change::of(ATTRIBUTES, path, entry.is_directory);
        // Of what is new nothing was known, and the same once more says nothing.
        let is_told = matches!(self.next.back(), Some(Next::Change(last)) if *last == change);
        if !is_told && self.fresh.get(path) != Some(&CREATED) {
            let is_modified = self.fresh.contains_key(path);
            self.next.push_back(Next::Change(change));
            // A content that changes afterwards is told again.
            if is_modified {
                self.fresh.remove(path);
            }
        }
    }

    /// There is something at a path. It may be known already: by a look that was quicker than what is told of it.
    fn appeared(&mut self, watching: &dyn Watching, path: &[u8], is_directory: bool) -> io::Result<()> {
        let entry = Entry::look(&self.place.path_of(path)).unwrap_or(Entry::unseen(is_directory));
        if let Some(known) = self.known.get(path) {
            let (is_same, is_sure) = (known.is_same(&entry), known.is_known_same(&entry));
            let both_files = !known.is_directory && !entry.is_directory;
            if is_same || both_files {
                if !is_sure {
                    self.known.insert(path.to_vec(), entry);
                }
                if !is_same && !self.fresh.contains_key(path) {
                    self.push(Change::of(MODIFIED, path, false));
                }
                // Of one that nobody has seen it is not known whether it is this one.
                let is_missed = !is_sure || !self.is_watched(path);
                let is_looked_into = !both_files && self.place.is_recursive && is_missed;
                return if is_looked_into { self.look_into(watching, path) } else { Ok(()) };
            }
            self.disappeared(watching, path);
        }
        let is_directory = entry.is_directory;
        self.known.insert(path.to_vec(), entry);
        self.push(Change::of(CREATED, path, is_directory));
        if is_directory && self.place.is_recursive { self.look_into(watching, path) } else { Ok(()) }
    }

    /// What is in a directory that is new here came before it was watched, or will be told a second time, or has changed
    /// while nobody was told.
    fn look_into(&mut self, watching: &dyn Watching, path: &[u8]) -> io::Result<()> {
        let found = match self.look(Some(watching), path) {
            // It is gone already, or was replaced: that is told next.
            Err(why) if is_gone(&why) || why.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            found => found?,
        };
        let is_other = |known: &Entry, new: &Entry| !known.is_same(new) && (known.is_directory || new.is_directory);
        let is_lost = |path: &Vec<u8>| match (self.known.get(path), found.get(path)) {
            (Some(known), Some(new)) => is_other(known, new),
            (_, new) => new.is_none(),
        };
        let lost: Vec<_> = compare::below(&self.known, path).into_iter().filter(is_lost).collect();
        for lost in lost.iter().rev() {
            self.forget(watching, lost, &found);
        }
        for (path, entry) in found {
            let kind = match self.known.get(&path) {
                None => CREATED,
                Some(known) if known.is_same(&entry) => continue,
                Some(_) => MODIFIED,
            };
            let change = Change::of(kind, &path, entry.is_directory);
            self.known.insert(path, entry);
            if kind == CREATED || !self.fresh.contains_key(&change.path) {
                self.push(change);
            }
        }
        Ok(())
    }

    /// Something is not there any more, nor what was in it; what was found in its place is watched already.
    fn forget(&mut self, watching: &dyn Watching, path: &[u8], found: &Known) {
        for (rest, entry) in compare::take(&mut self.known, path).into_iter().rev() {
            let path = [path, &rest].concat();
            if !found.get(&path).is_some_and(|new| new.is_directory) {
                self.forget_number(watching, &path);
            }
            self.push(Change::of(REMOVED, &path, entry.is_directory));
        }
    }

    fn forget_number(&mut self, watching: &dyn Watching, path: &[u8]) {
        if let Some(number) = self.take_number(path) {
            watching.remove(number);
        }
    }

    /// The number of a directory that has no other path by now.
    fn take_number(&mut self, path: &[u8]) -> Option<i32> {
        let number = self.numbers.remove(path)?;
        let is_its = self.directories.get(&number).is_some_and(|of| of == path);
        is_its.then(|| self.directories.remove(&number)).map(|_| number)
    }

    fn disappeared(&mut self, watching: &dyn Watching, path: &[u8]) {
        let taken = self.take(path);
        self.tell_removed(watching, path, taken);
    }

    /// A path and all below it is no longer known, nor are the numbers of the directories.
    fn take(&mut self, path: &[u8]) -> Taken {
        let entries = compare::take(&mut self.known, path);
        let rests: Vec<Vec<u8>> = entries.iter().map(|(rest, _)| rest.clone()).collect();
        let number_of = |rest: Vec<u8>| self.take_number(&[path, &rest].concat()).map(|number| (rest, number));
        (entries, rests.into_iter().filter_map(number_of).collect())
    }

    /// Of what was taken out: it may have been found at another path meanwhile.
    fn let_go_of(&self, watching: &dyn Watching, numbers: Vec<(Vec<u8>, i32)>) {
        let gone = numbers.into_iter().filter(|(_, number)| !self.directories.contains_key(number));
        gone.for_each(|(_, number)| watching.remove(number));
    }

    fn tell_removed(&mut self, watching: &dyn Watching, path: &[u8], (entries, numbers): Taken) {
        self.let_go_of(watching, numbers);
        // What is inside first.
        for (rest, entry) in entries.into_iter().rev() {
            self.push(Change::of(REMOVED, &[path, &rest].concat(), entry.is_directory));
        }
    }

    /// Something has lost its name.
    fn left(&mut self, from: Vec<u8>, notice: &Notice) {
        if !self.known.contains_key(&from) {
            return;
        }
        let taken = self.take(&from);
        self.fresh.remove(&from);
        self.next.push_back(Next::Left { cookie: notice.cookie, from, taken });
    }

    /// Something has got a name.
    fn arrived(&mut self, watching: &dyn Watching, path: &[u8], notice: &Notice) -> io::Result<()> {
        let is_other_half = |next: &Next| matches!(next, Next::Left { cookie, .. } if *cookie == notice.cookie);
        let Some(at) = self.next.iter().rposition(is_other_half) else {
            return self.appeared(watching, path, notice.is_directory);
        };
        let is_inside = matches!(&self.next[at], Next::Left { from, .. } if compare::is_below(from, path));
        if at + 1 != self.next.len() || is_inside {
            // What happened in between may have to do with either path. What had its name somewhere inside of what is in
            // its way cannot have come from there: the way is another one by now.
            self.give_up_halves(watching);
            return self.appeared(watching, path, notice.is_directory);
        }
        let Some(Next::Left { from, taken, .. }) = self.next.pop_back() else { return Ok(()) };
        let moved = taken.0.first().map(|(_, entry)| entry.clone());
        let there = self.known.get(path);
        let is_there = there.zip(moved.as_ref()).is_some_and(|(there, moved)| there.is_known_same(moved));
        if is_there {
            // A look at the directory that it has come to was quicker.
            self.tell_removed(watching, &from, taken);
        } else {
            let is_directory = moved.is_some_and(|moved| moved.is_directory);
            let is_other_kind = there.is_some_and(|there| there.is_directory != is_directory);
            self.clear_the_way(watching, path, is_other_kind);
            self.push(Change { kind: MOVED, path: path.to_vec(), from: Some(from), is_directory });
            let (entries, numbers) = taken;
            compare::put(&mut self.known, path, entries);
            let numbers = numbers.into_iter().filter(|(_, number)| !self.directories.contains_key(number));
            for (rest, number) in numbers.collect::<Vec<_>>() {
                let directory = [path, &rest].concat();
                self.directories.insert(number, directory.clone());
                self.numbers.insert(directory, number);
            }
        }
        self.reconcile(watching, path)
    }

    /// What was known of what has arrived may have been of what had its name before, or will have it: what is told lies
    /// behind what is seen. Where nothing is any more, that is told next.
    fn reconcile(&mut self, watching: &dyn Watching, path: &[u8]) -> io::Result<()> {
        let Ok(entry) = Entry::look(&self.place.path_of(path)) else { return Ok(()) };
        let is_directory = entry.is_directory;
        if self.known.get(path).is_none_or(|known| known.is_directory != is_directory) {
            self.disappeared(watching, path);
            self.known.insert(path.to_vec(), entry);
            self.push(Change::of(CREATED, path, is_directory));
        } else if let Some(known) = self.known.get_mut(path) {
            *known = Entry { is_touched: known.is_touched, ..entry };
        }
        if is_directory && self.place.is_recursive { self.look_into(watching, path) } else { Ok(()) }
    }

    fn is_watched(&self, path: &[u8]) -> bool {
        let number = self.numbers.get(path);
        number.and_then(|number| self.directories.get(number)).is_some_and(|of| of == path)
    }

    /// What is known of a path that something else has now. What is in it is told to be gone, and it itself where it is
    /// of another kind.
    fn clear_the_way(&mut self, watching: &dyn Watching, path: &[u8], is_told: bool) {
        let (mut entries, numbers) = self.take(path);
        entries.retain(|(rest, _)| is_told || !rest.is_empty());
        self.tell_removed(watching, path, (entries, numbers));
    }

    /// No other half has come: what has lost its name is not in the directory any more.
    pub fn give_up_halves(&mut self, watching: &dyn Watching) {
        let waiting = std::mem::take(&mut self.next);
        for next in waiting {
            match next {
                Next::Change(change) => self.next.push_back(Next::Change(change)),
                Next::Left { from, taken: (entries, numbers), .. } => {
                    self.let_go_of(watching, numbers);
                    for (rest, entry) in entries.into_iter().rev() {
                        let change = Change::of(REMOVED, &[from.as_slice(), &rest].concat(), entry.is_directory);
                        self.next.push_back(Next::Change(change));
                    }
                }
            }
        }
    }

    /// The system could not remember all: what has changed is found by looking.
    fn overflow(&mut self, watching: &dyn Watching) -> io::Result<()> {
        self.give_up_halves(watching);
        self.push(Change::of(OVERFLOW, &[], true));
        let before: Vec<i32> = self.directories.drain().map(|(number, _)| number).collect();
        self.numbers.clear();
        let now = self.look(Some(watching), &[]);
        // Those that were found again are watched twice now, by the same numbers.
        before
            .into_iter()
            .filter(|number| !self.directories.contains_key(number))
            .for_each(|number| watching.remove(number));
        match now {
            Ok(now) => self.compare(now),
            Err(why) if is_gone(&why) => self.gone(watching),
            Err(why) => return Err(why),
        }
        Ok(())
    }

    /// This is what is there now.
    pub fn compare(&mut self, now: Known) {
        for change in compare::compare(&mut self.known, now) {
            self.push(change);
        }
    }

    /// What is watched is not there any more.
    pub fn gone(&mut self, watching: &dyn Watching) {
        if self.is_gone {
            return;
        }
        self.give_up_halves(watching);
        let known = std::mem::take(&mut self.known);
        for (path, entry) in known.into_iter().rev() {
            self.push(Change::of(REMOVED, &path, entry.is_directory));
        }
        self.push(Change::of(GONE, &[], self.place.only.is_none()));
        self.let_go(watching);
        self.is_gone = true;
    }
}

/// Whether this says that what is watched is not there.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
