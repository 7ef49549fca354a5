//! The header, grouped: the handles first, then a section for each noun with its constants, types and functions
//! in the order of the Rust source. What a declaration needs from a later section is moved before it.

use crate::items::{self, Item, wrap, write_comment};
use crate::source::Source;

/// Arranges cbindgen's text anew; `frame` is the last text before its first item.
pub fn header(text: &str, frame: &str, source: &Source) -> String {
    // Rust has its own use for this name.
    let text = text.replace("self_", "self");
    let (head, body) = text.split_once(frame).expect("the text of after_includes");
    let body = body.replace("#ifdef __cplusplus\nextern \"C\" {\n#endif // __cplusplus\n", "");
    // A word that Rust keeps for itself.
    let body = body.replace("*self_", "*self");
    let (body, _) = body.split_once("#ifdef __cplusplus\n}").expect("the end of extern \"C\"");
    let mut items = items::parse(body);
    items.retain(|item| source.place(&item.name).is_some());
    for name in source.functions_and_constants().chain(source.types()) {
        let is_there = items.iter().any(|item| item.name == name);
        assert!(is_there, "{name}: cbindgen left it out (a constant must be a plain literal, an export no macro's)");
    }
    items.sort_by_key(|item| source.place(&item.name).map(|place| (place.noun, place.line)));
    let mut arranged = Arranged { items: &items, source, done: vec![false; items.len()], text: String::new() };
    arranged.handles();
    for (noun, title) in source.nouns.iter().map(|noun| &noun.title).enumerate() {
        arranged.section(noun, title);
    }
    let open = "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    let close = "#ifdef __cplusplus\n}\n#endif\n\n#endif /* LARIAT_H */\n";
    format!("{}\n\n{frame}\n\n{open}{}\n{close}", head.trim_end(), arranged.text.trim_start())
}

struct Arranged<'a> {
    items: &'a [Item],
    source: &'a Source,
    done: Vec<bool>,
    text: String,
}

impl Arranged<'_> {
    fn banner(&mut self, title: &str) {
        let dashes = "-".repeat(120_usize.saturating_sub(title.chars().count() + 12));
        self.text.push_str(&format!("\n/* ---- {title} {dashes} */\n"));
    }

    /// All opaque types, so that any declaration may use them.
    fn handles(&mut self) {
        self.banner("handles");
        let items = self.items;
        for (index, item) in items.iter().enumerate().filter(|(_, item)| is_opaque(item)) {
            self.text.push_str(&format!("\n{}{}\n", write_comment(&item.doc, ""), item.code[0]));
            self.done[index] = true;
        }
    }

    fn section(&mut self, noun: usize, title: &str) {
        let items = self.items;
        let here = |item: &Item| self.source.place(&item.name).is_some_and(|place| place.noun == noun);
        let indices: Vec<usize> = (0..items.len()).filter(|&index| here(&items[index]) && !self.done[index]).collect();
        if indices.is_empty() {
            return;
        }
        self.banner(title);
        for index in indices {
            self.item(index);
        }
    }

    /// Writes an item, after those that it needs.
    fn item(&mut self, index: usize) {
        if std::mem::replace(&mut self.done[index], true) {
            return;
        }
        let items = self.items;
        let item = &items[index];
        for (needed, other) in items.iter().enumerate() {
            if other.code[0].starts_with("typedef")
                && !self.done[needed]
                && item.code.iter().any(|line| has_word(line, &other.name))
            {
                self.item(needed);
            }
        }
        let open = if item.guard.is_empty() { String::new() } else { format!("{}\n", item.guard) };
        let close = if item.guard.is_empty() { "" } else { "#endif\n" };
        let text = match () {
            () if self.in_enum(item) => return self.enumeration(index),
            () if item.code.len() > 1 => format!("{}{}", write_comment(&item.doc, ""), structure(item)),
            () => format!("{}{}\n", write_comment(&item.doc, ""), wrap(&self.typed(item))),
        };
        self.text.push_str(&format!("\n{open}{text}{close}"));
    }

    /// Constants that fit an int become enumerators: debuggers and most FFIs' parsers see those, and not macros. Versions
    /// stay macros, for the preprocessor.
    fn in_enum(&self, item: &Item) -> bool {
        let place = self.source.place(&item.name);
        let fits = place.is_some_and(|place| match place.constant_type.as_str() {
            "i32" | "lariat_status" => true,
            "u32" => {
                value(item).parse::<u32>().is_ok_and(|number| number <= i32::MAX as u32) || value(item).contains("<<")
            }
            _ => false,
        });
        item.code[0].starts_with("#define") && item.guard.is_empty() && fits && !item.name.contains("_VERSION")
    }

    /// Writes the constants that follow each other from here on as one enum.
    fn enumeration(&mut self, first: usize) {
        let items = self.items;
        let noun = |item: &Item| self.source.place(&item.name).map(|place| place.noun);
        let run: Vec<&Item> = items[first..]
            .iter()
            .take_while(|item| {
                self.in_enum(item) && noun(item) == noun(&items[first]) && same_family(item, &items[first])
            })
            .collect();
        let entries = run.iter().map(|item| (format!("{} = {},", item.name, value(item)), item.doc.clone()));
        let entries: Vec<(String, Vec<String>)> = entries.collect();
        self.text.push_str(&format!("\nenum {{\n{}}};\n", with_comments(&entries)));
        self.done[first..first + run.len()].fill(true);
    }

    /// A macro's line with its number in the right type; any other line as it is.
    fn typed(&self, item: &Item) -> String {
        let constant_type = self.source.place(&item.name).map_or("", |place| &place.constant_type);
        let suffix = match constant_type {
            _ if !item.code[0].starts_with("#define") => return item.code[0].clone(),
            "u64" | "usize" => "UINT64_C",
            "i64" | "isize" => "INT64_C",
            "u32" => return format!("{}u", item.code[0]),
            _ => return item.code[0].clone(),
        };
        let is_literal =
            value(item).starts_with(|c: char| c.is_ascii_digit() || c == '-') && !value(item).contains(' ');
        assert!(is_literal, "{}: a constant of 64 bits must be a literal", item.name);
        format!("#define {} {suffix}({})", item.name, value(item))
    }
}

/// `LARIAT_ERR_X` beside `LARIAT_OK` is one family, `LARIAT_EVENT_X` beside `LARIAT_LOG_X` is not.
fn same_family(item: &Item, first: &Item) -> bool {
    let word = |item: &Item| item.name.split('_').nth(1).unwrap_or("").to_owned();
    let is_status = |item: &Item| word(item) == "ERR" || item.name.matches('_').count() == 1;
    word(item) == word(first) || (is_status(first) && is_status(item))
}

fn value(item: &Item) -> &str {
    item.code[0].splitn(3, ' ').nth(2).unwrap_or("")
}

fn is_opaque(item: &Item) -> bool {
    item.code.len() == 1 && item.code[0].starts_with("typedef struct ")
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

fn structure(item: &Item) -> String {
    let code = &item.code;
    let mut lines = code[1..code.len() - 1].iter().map(String::as_str);
    let (mut fields, mut doc) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        match line.trim() {
            "/*" => doc = items::comment(&mut lines),
            field => fields.push((field.to_owned(), std::mem::take(&mut doc))),
        }
    }
    let open = code[0].replace("typedef struct {", &format!("typedef struct {} {{", item.name));
    format!("{open}\n{}{}\n", with_comments(&fields), code[code.len() - 1])
}

/// Entries with their comments: all behind them where each is one line and fits, else all before them.
fn with_comments(entries: &[(String, Vec<String>)]) -> String {
    let width = entries.iter().map(|(code, _)| code.len()).max().unwrap_or(0);
    let fits = |doc: &Vec<String>| doc.len() <= 1 && doc.iter().all(|line| width + line.len() + 12 <= 120);
    let behind = entries.iter().all(|(_, doc)| fits(doc));
    let mut text = String::new();
    for (code, doc) in entries {
        if behind {
            let line = format!("    {code:width$} {}", write_comment(doc, ""));
            text.push_str(line.trim_end());
            text.push('\n');
        } else {
            text.push_str(&write_comment(doc, "    "));
            text.push_str(&format!("    {code}\n"));
        }
    }
    text
}
