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
            if let Some(before) = numbers.insert(directory.to_vec(), number).filter(|before| *before != number) {
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
            let (is_same, both_files) = (known.is_same(&entry), !known.is_directory && !entry.is_directory);
            if is_same || both_files {
                if !is_same {
                    self.known.insert(path.to_vec(), entry);
                    if !self.fresh.contains_key(path) {
                        self.push(Change::of(MODIFIED, path, false));
                    }
                }
                return Ok(());
            }
            self.disappeared(watching, path);
        }
        let is_directory = entry.is_directory;
        self.known.insert(path.to_vec(), entry);
        self.push(Change::of(CREATED, path, is_directory));
        if is_directory && self.place.is_recursive { self.look_into(watching, path) } else { Ok(()) }
    }

    /// What is in a directory that is new here came before it was watched, or will be told a second time.
    fn look_into(&mut self, watching: &dyn Watching, path: &[u8]) -> io::Result<()> {
        let found = match self.look(Some(watching), path) {
            // It is gone already, or was replaced: that is told next.
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            found => found?,
        };
        for lost in compare::below(&self.known, path).into_iter().rev().filter(|path| !found.contains_key(path)) {
            self.disappeared(watching, &lost);
        }
        for (path, entry) in found {
            if !self.known.contains_key(&path) {
                let is_directory = entry.is_directory;
                self.known.insert(path.clone(), entry);
                self.push(Change::of(CREATED, &path, is_directory));
            }
        }
        Ok(())
    }

    fn disappeared(&mut self, watching: &dyn Watching, path: &[u8]) {
        let taken = self.take(path);
        self.tell_removed(watching, path, taken);
    }

    /// A path and all below it is no longer known, nor are the numbers of the directories.
    fn take(&mut self, path: &[u8]) -> Taken {
        let entries = compare::take(&mut self.known, path);
        let number_of = |(rest, _): &(Vec<u8>, Entry)| {
            self.numbers.remove(&[path, rest].concat()).map(|number| (rest.clone(), number))
        };
        let numbers: Vec<_> = entries.iter().filter_map(number_of).collect();
        for (_, number) in &numbers {
            self.directories.remove(number);
        }
        (entries, numbers)
    }

    fn tell_removed(&mut self, watching: &dyn Watching, path: &[u8], (entries, numbers): Taken) {
        numbers.into_iter().for_each(|(_, number)| watching.remove(number));
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
        // What it has replaced is gone with that.
        let (_, numbers) = self.take(path);
        numbers.into_iter().for_each(|(_, number)| watching.remove(number));
        let moved = Change { kind: MOVED, path: path.to_vec(), from: None, is_directory: notice.is_directory };
        let Next::Left { from, taken: (entries, numbers), .. } =
            std::mem::replace(&mut self.next[at], Next::Change(moved))
        else {
            return Ok(());
        };
        if let Next::Change(change) = &mut self.next[at] {
            change.from = Some(from);
        }
        self.fresh.remove(path);
        compare::put(&mut self.known, path, entries);
        for (rest, number) in numbers {
            let directory = [path, &rest].concat();
            self.directories.insert(number, directory.clone());
            self.numbers.insert(directory, number);
        }
        // What happened in it while it had no name was told to nobody.
        if notice.is_directory && self.place.is_recursive { self.look_into(watching, path) } else { Ok(()) }
    }

    /// No other half has come: what has lost its name is not in the directory any more.
    pub fn give_up_halves(&mut self, watching: &dyn Watching) {
        let waiting = std::mem::take(&mut self.next);
        for next in waiting {
            match next {
                Next::Change(change) => self.next.push_back(Next::Change(change)),
                Next::Left { from, taken: (entries, numbers), .. } => {
                    numbers.into_iter().for_each(|(_, number)| watching.remove(number));
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
