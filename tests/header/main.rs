//! Keeps include/lariat.h fresh: cbindgen reads src/, what it writes is grouped by noun, and must equal the committed file.
//! `LARIAT_WRITE_HEADER=1` (`make header`) writes the file instead.

mod arrange;
mod items;
mod source;

use std::path::Path;

/// The order of the header's sections, by the name of the source file (without `.rs`; a folder's name for its `mod.rs`).
/// A file that is not named here comes after these, in alphabetical order.
const ORDER: &[&str] = &[
    "status",
    "version",
    "types",
    "address",
    "options",
    "reactor",
    "calls",
    "delayed_call",
    "trigger",
    "threads",
    "watcher",
    "signal_watch",
    "protocol",
    "listener",
    "connect",
    "descriptor",
    "terminal",
    "serial",
    "process_options",
    "process_protocol",
    "process",
    "process_output",
    "transport",
    "flow",
    "framing",
    "reconnecting_client",
    "connection_pool",
    "reactor_group",
    "datagram",
    "datagram_port",
    "multicast",
    "websocket_options",
    "websocket_protocol",
    "websocket",
    "address",
    "resolver",
    "file",
    "path",
    "directory",
    "file_watch",
    "file_info",
    "bytes",
    "looping_call",
    "cooperator",
    "deferred",
    "chain",
    "outcome",
    "failure",
    "combinators",
    "deferred_from_thread",
    "lock",
    "semaphore",
    "queue",
    "scope",
    "event",
    "stats",
    "simulation",
    "simulated_network",
];

fn generate(root: &Path) -> String {
    let source = source::Source::read(&root.join("src"), ORDER);
    let mut config = cbindgen::Config::from_file(root.join("include/cbindgen.toml")).expect("include/cbindgen.toml");
    config.export.include.extend(source.types());
    let frame = config.after_includes.clone().unwrap_or_default();
    let bindings = cbindgen::Builder::new().with_config(config).with_crate(root).generate().expect("cbindgen");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("a header in UTF-8");
    arrange::header(&text, frame.trim(), &source)
}

/// The first line where the two differ, for the message.
fn difference(committed: &str, fresh: &str) -> String {
    let (mut old, mut new) = (committed.lines(), fresh.lines());
    for number in 1.. {
        match (old.next(), new.next()) {
            (a, b) if a == b && a.is_some() => {}
            (a, b) => return format!("line {number}:\n  has   {}\n  wants {}", a.unwrap_or("-"), b.unwrap_or("-")),
        }
    }
    unreachable!()
}

#[test]
fn the_header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("include/lariat.h");
    let fresh = generate(root);
    if std::env::var_os("LARIAT_WRITE_HEADER").is_some() {
        return std::fs::write(&path, fresh).expect("include/lariat.h written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(committed == fresh, "include/lariat.h is stale (run `make header`), {}", difference(&committed, &fresh));
}

/// Every FFI must be able to make and receive what a signature holds: no bool, no enum, no struct by value.
#[test]
fn signatures_hold_plain_types_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = source::Source::read(&root.join("src"), ORDER);
    let header = generate(root);
    let structs: Vec<String> = source.structs().collect();
    for line in header.lines().filter(|line| line.starts_with("LARIAT_API") || line.starts_with("typedef ")) {
        let by_value = |word: &str| structs.iter().any(|name| name == word) && !line.starts_with("typedef struct");
        let mut words = line.split([' ', '(', ',']).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            assert!(word != "bool" && word != "enum", "not a type for every FFI: {line}");
            let pointer = words.peek().is_some_and(|next| next.starts_with('*'));
            let is_const_pointer = words.peek() == Some(&"const");
            assert!(pointer || is_const_pointer || !by_value(word), "a struct by value: {line}");
        }
    }
}
