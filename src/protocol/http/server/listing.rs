//! A page that lists what is in a folder.

use crate::platform::Listed;
use crate::protocol::http::date;

/// Entries at most.
pub(super) const MOST: usize = 10_000;

/// The page for a folder: `path` ends in a slash, or is empty: the first folder of all.
pub(super) fn page(path: &[u8], mut entries: Vec<Listed>, hidden: bool) -> Vec<u8> {
    entries.retain(|entry| hidden || !entry.name.starts_with(b"."));
    entries.sort_by(|one, other| other.is_folder.cmp(&one.is_folder).then_with(|| one.name.cmp(&other.name)));
    let title = text(path);
    let mut page = String::from("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\">");
    page.push_str(&format!("<title>/{title}</title>"));
    page.push_str(
        "<style>body{font-family:sans-serif;margin:2em}td{padding:.1em 1.5em .1em 0}td+td{color:#666}</style>",
    );
    page.push_str(&format!("</head><body><h1>/{title}</h1><table>\n"));
    if !path.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in &entries {
        let slash = if entry.is_folder { "/" } else { "" };
        let size = if entry.is_folder { String::new() } else { entry.size.to_string() };
        let when = date::format(entry.modified);
        let (link, name, when) = (link(&entry.name), text(&entry.name), String::from_utf8_lossy(&when));
        page.push_str(&format!("<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a></td>"));
        page.push_str(&format!("<td>{size}</td><td>{when}</td></tr>\n"));
    }
    page.push_str("</table></body></html>\n");
    page.into_bytes()
}

/// A name in a page.
fn text(name: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(name).chars() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            other => text.push(other),
        }
    }
    text
}

/// A name in a URL.
fn link(name: &[u8]) -> String {
    let mut link = String::new();
    for byte in name {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => link.push(char::from(*byte)),
            other => link.push_str(&format!("%{other:02X}")),
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_nothing_but_names() {
        let entry = |name: &[u8], is_folder| Listed { name: name.to_vec(), is_folder, size: 7, modified: 0 };
        let entries =
            vec![entry(b"\"><script>.txt", false), entry(b"b", true), entry(b".hidden", false), entry(b"\xff", false)];
        let page = page(b"<a>/", entries, false);
        let page = String::from_utf8_lossy(&page);
        assert!(!page.contains("<script>") && !page.contains("<a>") && !page.contains("hidden"), "{page}");
        assert!(page.contains("href=\"./%22%3E%3Cscript%3E.txt\"") && page.contains("href=\"./b/\">b/<"), "{page}");
        assert!(page.contains("href=\"./%FF\""), "{page}");
    }
}
