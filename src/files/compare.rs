//! What is in a directory, and what has changed since somebody looked last.

use super::info::Facts;
use crate::platform;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::PathBuf;

/// `LARIAT_CHANGE_CREATED`
pub const CREATED: i32 = 1;
/// `LARIAT_CHANGE_MODIFIED`
pub const MODIFIED: i32 = 2;
/// `LARIAT_CHANGE_ATTRIBUTES`
pub const ATTRIBUTES: i32 = 3;
/// `LARIAT_CHANGE_REMOVED`
pub const REMOVED: i32 = 4;
/// `LARIAT_CHANGE_MOVED`
pub const MOVED: i32 = 5;
/// `LARIAT_CHANGE_OVERFLOW`
pub const OVERFLOW: i32 = 6;
/// `LARIAT_CHANGE_GONE`
pub const GONE: i32 = 7;

/// A change; paths are below what is watched, empty for that itself.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named after its field in lariat_file_change")]
pub struct Change {
    pub kind: i32,
    pub path: Vec<u8>,
    pub from: Option<Vec<u8>>,
    pub is_directory: bool,
}

impl Change {
    /// One that is about one path.
    pub fn of(kind: i32, path: &[u8], is_directory: bool) -> Self {
        Self { kind, path: path.to_vec(), from: None, is_directory }
    }
}

/// Which file it is: its numbers, and its birth, as numbers are used again. Of one that can be written to also what it is
/// like, where births are not to be had.
type Identity = (bool, u64, u64, i64, (u64, i64));

/// What is known of a path.
#[derive(Clone, Debug)]
pub struct Entry {
    /// It is a directory.
    pub is_directory: bool,
    /// It has changed since its facts were looked at.
    pub is_touched: bool,
    pub(super) facts: Option<Facts>,
}

impl Entry {
    /// What has this path now.
    pub fn look(path: &std::path::Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { is_directory: metadata.is_dir(), is_touched: false, facts: Some(Facts::of(&metadata)) })
    }

    /// What is gone before anybody could look.
    pub fn unseen(is_directory: bool) -> Self {
        Self { is_directory, is_touched: false, facts: None }
    }

    fn identity(&self) -> Option<Identity> {
        // Without a number nothing can be known.
        let facts = self.facts.as_ref().filter(|facts| facts.details.inode != 0)?;
        let content = if self.is_directory || facts.created != 0 { (0, 0) } else { (facts.size, facts.modified) };
        Some((self.is_directory, facts.details.device, facts.details.inode, facts.created, content))
    }

    /// Whether both are the same file, as far as can be known.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.identity(), other.identity()) {
            (Some(one), Some(another)) => one == another,
            _ => self.is_directory == other.is_directory,
        }
    }

    /// Whether both are the same file for sure.
    pub fn is_known_same(&self, other: &Self) -> bool {
        self.identity().is_some() && self.identity() == other.identity()
    }

    fn has_other_content(&self, now: &Self) -> bool {
        let content = |entry: &Self| entry.facts.as_ref().map(|facts| (facts.size, facts.modified));
        !now.is_directory && (self.is_touched || content(self) != content(now))
    }

    fn has_other_attributes(&self, now: &Self) -> bool {
        let of = |entry: &Self| {
            entry.facts.as_ref().map(|facts| (facts.details.mode, facts.details.user, facts.details.group))
        };
        self.facts.is_some() && of(self) != of(now)
    }
}

/// What is in a directory, by the path below it.
pub type Known = BTreeMap<Vec<u8>, Entry>;

/// Where to look, and how far.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory.
    pub directory: PathBuf,
    /// Only what has this name in it.
    pub only: Option<Vec<u8>>,
    /// Also what is in the directories that are in it.
    pub is_recursive: bool,
}

/// A path below another one.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// Whether a path leads through a directory.
pub fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

/// The paths below a directory that are known.
pub fn below(known: &Known, directory: &[u8]) -> Vec<Vec<u8>> {
    let first = [directory, b"/"].concat();
    let range = known.range::<[u8], _>((Bound::Included(first.as_slice()), Bound::Unbounded));
    range.map(|(path, _)| path.clone()).take_while(|path| path.starts_with(&first)).collect()
}

/// Takes a path and what is below it out, each with its path relative to that.
pub fn take(known: &mut Known, path: &[u8]) -> Vec<(Vec<u8>, Entry)> {
    let inside = below(known, path);
    let all = std::iter::once(path.to_vec()).chain(inside);
    all.filter_map(|each| known.remove(&each).map(|entry| (each[path.len()..].to_vec(), entry))).collect()
}

/// Puts what was taken out back at another path.
pub fn put(known: &mut Known, path: &[u8], taken: Vec<(Vec<u8>, Entry)>) {
    known.extend(taken.into_iter().map(|(rest, entry)| ([path, &rest].concat(), entry)));
}

impl Place {
    /// A path of the system.
    pub fn path_of(&self, below: &[u8]) -> PathBuf {
        if below.is_empty() {
            return self.directory.clone();
        }
        platform::path_of(below).map_or_else(|| self.directory.clone(), |below| self.directory.join(below))
    }

    /// Looks at all that is below `start`, itself a path below the directory. `enter` is called with each directory
    /// before it is read. What vanishes meanwhile is not there; what may not be read is not looked into.
    pub fn look(&self, start: &[u8], enter: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Known> {
        let mut known = Known::new();
        let mut waiting = vec![start.to_vec()];
        while let Some(directory) = waiting.pop() {
            match self.read(&directory, &mut known, enter) {
                Ok(found) => waiting.extend(found),
                Err(why) if directory.as_slice() != start && can_be_left_out(&why) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(known)
    }

    fn read(
        &self,
        directory: &[u8],
        known: &mut Known,
        enter: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Vec<Vec<u8>>> {
        enter(directory)?;
        let mut found = Vec::new();
        if let Some(name) = &self.only {
            // A directory that is not there differs from one in which the file is not.
            fs::metadata(&self.directory)?;
            match Entry::look(&self.path_of(name)) {
                Ok(entry) => drop(known.insert(name.clone(), entry)),
                Err(why) if can_be_left_out(&why) => {}
                Err(why) => return Err(why),
            }
            return Ok(found);
        }
        for each in fs::read_dir(self.path_of(directory))? {
            let each = each?;
            let path = join(directory, &platform::bytes_of(&each.file_name()));
            let Ok(entry) = Entry::look(&each.path()) else { continue };
            if entry.is_directory && self.is_recursive {
                found.push(path.clone());
            }
            known.insert(path, entry);
        }
        Ok(found)
    }
}

/// Somebody was quicker, or does not want it to be seen.
fn can_be_left_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied)
}

/// What has changed from what was known to what is there now, in an order in which it could have happened; from here on
/// the latter is known.
pub fn compare(known: &mut Known, now: Known) -> Vec<Change> {
    let mut changes = Vec::new();
    while find_moves(known, &now, &mut changes) {}
    let is_other = |path: &[u8], old: &Entry| {
        now.get(path).is_none_or(|new| !old.is_same(new) && (old.is_directory || new.is_directory))
    };
    let other: Vec<_> = known.iter().filter(|(path, old)| is_other(path, old)).map(|(path, _)| path.clone()).collect();
    // With a directory goes what was in it.
    let inside = other.iter().flat_map(|path| below(known, path)).collect::<Vec<_>>();
    let removed: BTreeSet<Vec<u8>> = other.into_iter().chain(inside).collect();
    let removed = removed.into_iter().rev().filter_map(|path| {
        let is_directory = known.get(&path)?.is_directory;
        Some(Change { kind: REMOVED, path, from: None, is_directory })
    });
    let removed: Vec<Change> = removed.collect();
    for change in &removed {
        known.remove(&change.path);
    }
    changes.extend(removed);
    for (path, new) in &now {
        let mut tell = |kind| changes.push(Change::of(kind, path, new.is_directory));
        match known.get(path) {
            None => tell(CREATED),
            Some(old) => {
                // A file in the place of another one has other content.
                if !old.is_same(new) || old.has_other_content(new) {
                    tell(MODIFIED);
                }
                if old.is_same(new) && old.has_other_attributes(new) {
                    tell(ATTRIBUTES);
                }
            }
        }
    }
    *known = now;
    changes
}

/// Finds what has another path now. True: there may be more, of what these have made room for.
fn find_moves(known: &mut Known, now: &Known, changes: &mut Vec<Change>) -> bool {
    let is_elsewhere = |path: &[u8], old: &Entry| now.get(path).is_none_or(|new| !old.is_same(new));
    let vanished = known.iter().filter(|(path, old)| is_elsewhere(path, old));
    let vanished = vanished.filter_map(|(path, old)| Some((old.identity()?, path.clone())));
    let vanished: HashMap<Identity, Vec<u8>> = vanished.collect();
    if vanished.is_empty() {
        return false;
    }
    let there: HashMap<Identity, &Vec<u8>> =
        now.iter().filter_map(|(path, new)| Some((new.identity()?, path))).collect();
    let mut found = false;
    for (to, new) in now {
        let old = known.get(to);
        if old.is_some_and(|old| old.is_same(new)) {
            continue;
        }
        // What is there still has to move away itself, or what is in it.
        let is_in_the_way = old.is_some_and(|old| {
            old.is_directory != new.is_directory || old.identity().is_some_and(|identity| there.contains_key(&identity))
        });
        if is_in_the_way || (old.is_some() && !below(known, to).is_empty()) {
            continue;
        }
        let Some(from) = new.identity().and_then(|identity| vanished.get(&identity)) else { continue };
        // A directory that was moved just now has taken it along, and none can be moved into itself.
        let is_inside = to.strip_prefix(from.as_slice()).is_some_and(|rest| rest.starts_with(b"/"));
        if is_inside || !known.get(from).is_some_and(|old| old.is_same(new)) {
            continue;
        }
        if !make_way(known, now, &vanished, to, changes) {
            continue;
        }
        let taken = take(known, from);
        take(known, to);
        put(known, to, taken);
        changes.push(Change {
            kind: MOVED,
            path: to.clone(),
            from: Some(from.clone()),
            is_directory: new.is_directory,
        });
        found = true;
    }
    found
}

/// The directories that a path is in are there, if need be as new ones. False: one of them is still to be moved, or to
/// be replaced.
fn make_way(
    known: &mut Known,
    now: &Known,
    vanished: &HashMap<Identity, Vec<u8>>,
    to: &[u8],
    changes: &mut Vec<Change>,
) -> bool {
    let ends = to.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let mut missing = Vec::new();
    for directory in ends.map(|end| &to[..end]) {
        let Some(new) = now.get(directory) else { return false };
        match known.get(directory) {
            Some(old) if old.is_same(new) => {}
            Some(_) => return false,
            None if new.identity().is_some_and(|identity| vanished.contains_key(&identity)) => return false,
            None => missing.push((directory.to_vec(), new.clone())),
        }
    }
    for (directory, new) in missing {
        changes.push(Change::of(CREATED, &directory, true));
        known.insert(directory, new);
    }
    true
}
