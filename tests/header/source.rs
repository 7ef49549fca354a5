//! What the Rust source says about each public name: the file it stands in, its place there, a constant's type.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One source file that declares public names: one section of the header.
pub struct Noun {
    /// The file's name without its ending.
    pub stem: String,
    /// The first line of its `//!` documentation.
    pub title: String,
}

/// Where a public name was declared.
pub struct Place {
    /// Index into the nouns.
    pub noun: usize,
    /// Its order in that file.
    pub line: usize,
    /// `fn`, `type`, `struct`, `union`, `enum` or `const`.
    pub keyword: String,
    /// The type, of a constant.
    pub constant_type: String,
}

/// All public names of the library.
pub struct Source {
    /// In the header's order.
    pub nouns: Vec<Noun>,
    places: HashMap<String, Place>,
}

impl Source {
    /// Reads every file below `folder`.
    pub fn read(folder: &Path, order: &[&str]) -> Source {
        let mut files = Vec::new();
        rust_files(folder, &mut files);
        let mut files: Vec<(String, PathBuf)> = files.into_iter().map(|file| (stem(&file), file)).collect();
        files.sort_by_cached_key(|(stem, file)| {
            (order.iter().position(|name| name == stem).unwrap_or(order.len()), file.clone())
        });
        let mut source = Source { nouns: Vec::new(), places: HashMap::new() };
        for (stem, file) in files {
            source.read_file(stem, &fs::read_to_string(file).expect("a source file"));
        }
        source
    }

    fn read_file(&mut self, stem: String, text: &str) {
        let noun = self.nouns.len();
        let title = text.lines().find_map(|line| line.strip_prefix("//! ")).unwrap_or(&stem);
        let title = title.trim_end_matches(['.', ':']).replace('`', "");
        for (line, words) in text.lines().enumerate() {
            if let Some((keyword, name, constant_type)) = declaration(words) {
                let place = Place { noun, line, keyword: keyword.into(), constant_type };
                self.places.entry(name).or_insert(place); // the first of a pair under #[cfg]
            }
        }
        self.nouns.push(Noun { stem, title });
    }

    /// Where the name is declared; `None` for what is no public name, or one for the tests alone.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name).filter(|place| self.nouns[place.noun].stem != "testing")
    }

    /// The names of all types, used by a signature or not.
    pub fn types(&self) -> impl Iterator<Item = String> {
        self.names(&["type", "struct", "union", "enum"])
    }

    /// The names of all structs.
    pub fn structs(&self) -> impl Iterator<Item = String> {
        self.names(&["struct", "union"])
    }

    /// The names of all functions and constants.
    pub fn functions_and_constants(&self) -> impl Iterator<Item = String> {
        self.names(&["fn", "const"])
    }

    fn names(&self, keywords: &[&str]) -> impl Iterator<Item = String> {
        let public = self.places.keys().filter_map(|name| Some((name, self.place(name)?)));
        let mut names: Vec<String> =
            public.filter(|(_, place)| keywords.contains(&&*place.keyword)).map(|(name, _)| name.clone()).collect();
        names.sort();
        names.into_iter()
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn stem(file: &Path) -> String {
    let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match name(file).as_str() {
        "mod" => file.parent().map(name).unwrap_or_default(),
        other => other.to_owned(),
    }
}

/// The keyword, name and (of a constant) type that a line declares publicly, if it is one of the header's.
fn declaration(line: &str) -> Option<(&'static str, String, String)> {
    let mut rest = line.strip_prefix("pub ")?;
    for qualifier in ["unsafe ", "extern \"C\" ", "extern \"C-unwind\" "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let keyword = ["fn", "type", "struct", "union", "enum", "const"]
        .into_iter()
        .find(|word| rest.strip_prefix(word).is_some_and(|after| after.starts_with(' ')))?;
    let rest = &rest[keyword.len() + 1..];
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let is_ours = name.starts_with("lariat_") || name.starts_with("LARIAT_");
    let for_tests = name.starts_with("lariat_testing_") || name.starts_with("LARIAT_TESTING_");
    let constant_type = after.strip_prefix(": ").and_then(|after| after.split_once(" =")).map_or("", |(ty, _)| ty);
    (is_ours && !for_tests).then(|| (keyword, name.to_owned(), constant_type.to_owned()))
}
