//! URLs of http, https, ws and wss, in a normal form (RFC 3986, 6.2.2): what is compared, pooled and sent is the same text.
//!
//! Our own, not the crate `url`: that one follows browsers, which read "http:\\a@b" and "http://0x7f.1" as hosts where a strict reader
//! sees none, and brings ICU's tables with it. A host is written in ASCII here; what is not is refused by name, and not guessed.

use crate::status::{Result, Status};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// What a URL begins with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each is its own name")]
pub enum Scheme {
    Http,
    Https,
    Ws,
    Wss,
}

impl Scheme {
    fn of(name: &str) -> Option<Self> {
        let all = [Self::Http, Self::Https, Self::Ws, Self::Wss];
        all.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether it goes over TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }

    /// Where none is said.
    pub fn default_port(self) -> u16 {
        if self.is_secure() { 443 } else { 80 }
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// Without user and fragment.
    text: String,
    scheme: Scheme,
    /// With the brackets of an IPv6 address.
    host: Range<usize>,
    port: u16,
    /// Where the path begins.
    path: usize,
    user: Option<(String, String)>,
}

/// The longest that is taken.
const LONGEST: usize = 64 << 10;

impl Url {
    /// Reads an absolute URL. The status says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text).map_err(|why| refused(text, why))
    }

    /// The URL that a reference, such as one in a Location, names from here (RFC 3986, 5.2).
    pub fn join(&self, reference: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(reference)
            .map_err(|_| refused(&reference.escape_ascii().to_string(), "it is no UTF-8"))?;
        self.resolve(text).map_err(|why| refused(text, why))
    }

    fn resolve(&self, reference: &str) -> std::result::Result<Self, &'static str> {
        let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
        if has_scheme(reference) {
            return parse(reference);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return parse(&format!("{}://{rest}", self.scheme.name()));
        }
        let (path, query) = split_query(reference);
        let (own_path, own_query) = split_query(self.target());
        let merged = match path {
            "" => own_path.to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("{}{relative}", &own_path[..own_path.rfind('/').map_or(0, |slash| slash + 1)]),
        };
        let query = if path.is_empty() { query.or(own_query) } else { query };
        let mut joined = Self { text: self.text[..self.path].to_owned(), user: None, ..self.clone() };
        joined.set_target(&merged, query)?;
        Ok(joined)
    }

    fn set_target(&mut self, path: &str, query: Option<&str>) -> std::result::Result<(), &'static str> {
        let mut encoded = String::new();
        encode(if path.is_empty() { "/" } else { path }, &mut encoded)?;
        remove_dots(&encoded, &mut self.text);
        if let Some(query) = query {
            self.text.push('?');
            encode(query, &mut self.text)?;
        }
        if self.text.len() > LONGEST { Err("it is too long") } else { Ok(()) }
    }

    /// All of it, but user and fragment.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it begins with.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host's name or address, the latter without brackets.
    pub fn host(&self) -> &str {
        let host = &self.text[self.host.clone()];
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, said or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and, if it is not the usual one, port: for the field Host.
    pub fn authority(&self) -> &str {
        &self.text[self.host.start..self.path]
    }

    /// Host and port, always.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", &self.text[self.host.clone()], self.port)
    }

    /// Path and query: what stands in a request's first line.
    pub fn target(&self) -> &str {
        &self.text[self.path..]
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        split_query(self.target()).0
    }

    /// User and password, percent-decoded, if the URL had one.
    pub fn user(&self) -> Option<(&str, &str)> {
        self.user.as_ref().map(|(user, password)| (&user[..], &password[..]))
    }

    /// Whether both are of the same scheme, host and port (RFC 6454).
    pub fn is_same_origin(&self, other: &Self) -> bool {
        (self.scheme, self.port, self.host()) == (other.scheme, other.port, other.host())
    }
}

#[cold]
fn refused(text: &str, why: &str) -> Status {
    // A password does not belong into a log.
    let shown = match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(at)) if start < at => format!("{}://...{}", &text[..start], &text[at..]),
        _ => text.to_owned(),
    };
    Status::ERR_INVALID_ARGUMENT
        .because(format_args!("\"{}\" is no URL: {why}", shown.chars().take(200).collect::<String>().escape_debug()))
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']).unwrap_or(0);
    text[end..].starts_with(':') && text.starts_with(|first: char| first.is_ascii_alphabetic())
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}

fn parse(text: &str) -> std::result::Result<Url, &'static str> {
    if text.len() > LONGEST {
        return Err("it is too long");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it does not begin with a scheme and ://")?;
    let scheme = Scheme::of(scheme).ok_or("its scheme is not http, https, ws or wss")?;
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user_of(user)?), place),
        None => (None, authority),
    };
    let (host, port) = split_port(place)?;
    let port = port.unwrap_or(scheme.default_port());
    let mut url = Url { text: format!("{}://", scheme.name()), scheme, host: 0..0, port, path: 0, user };
    let start = url.text.len();
    push_host(host, &mut url.text)?;
    url.host = start..url.text.len();
    if port != scheme.default_port() {
        url.text.push_str(&format!(":{port}"));
    }
    url.path = url.text.len();
    let (path, query) = split_query(target);
    url.set_target(path, query)?;
    Ok(url)
}

fn split_port(place: &str) -> std::result::Result<(&str, Option<u16>), &'static str> {
    let after_address = place.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = place[after_address..].find(':') else { return Ok((place, None)) };
    let (host, port) = (&place[..after_address + colon], &place[after_address + colon + 1..]);
    if port.is_empty() {
        return Ok((host, None));
    }
    let number = if port.bytes().all(|byte| byte.is_ascii_digit()) { port.parse().ok() } else { None };
    match number {
        Some(1..) => Ok((host, number)),
        _ => Err("its port is not a number from 1 to 65535"),
    }
}

fn push_host(host: &str, text: &mut String) -> std::result::Result<(), &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or("its IPv6 address lacks the bracket")?;
        let address = address.parse::<Ipv6Addr>().map_err(|_| "what it has in brackets is no IPv6 address")?;
        text.push_str(&format!("[{address}]"));
        return Ok(());
    }
    if host.is_empty() {
        return Err("it has no host");
    }
    if !host.is_ascii() {
        return Err("its host is not ASCII: write it as it is looked up, with xn--");
    }
    if host.len() > 254 || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err("its host has a character that no name has, or is too long");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err("its host has a part that is empty, or too long");
    }
    // Such as 127.1 and 0x7f000001, which some take for addresses and others for names.
    let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("its host is neither a name nor an IPv4 address of four numbers");
    }
    text.push_str(&host.to_ascii_lowercase());
    Ok(())
}

fn user_of(text: &str) -> std::result::Result<(String, String), &'static str> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded =
        |text| decode(text).filter(|text| !text.contains(char::is_control)).ok_or("its user is not well encoded");
    match (decoded(user)?, decoded(password)?) {
        // A colon ends it where it is sent.
        (user, _) if user.contains(':') => Err("its user has a colon"),
        both => Ok(both),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|digit| (*digit as char).to_digit(16));
        bytes.push((digit(0)? << 4 | digit(1)?) as u8);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Adds a path or query, with what may not stand in one percent-encoded; encoding there already is stays.
fn encode(text: &str, out: &mut String) -> std::result::Result<(), &'static str> {
    for byte in text.bytes() {
        match byte {
            0..32 | 127 => return Err("it has a control character"),
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#' | 128.. => {
                out.push('%');
                out.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
            }
            _ => out.push(char::from(byte)),
        }
    }
    Ok(())
}

/// Adds a path that begins with a slash, without its segments of one and two dots (RFC 3986, 5.2.4), also where they are encoded.
fn remove_dots(path: &str, out: &mut String) {
    let start = out.len();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match &segment.to_ascii_lowercase()[..] {
            "." | "%2e" => {}
            ".." | ".%2e" | "%2e." | "%2e%2e" => {
                out.truncate(out[start..].rfind('/').map_or(start, |slash| start + slash))
            }
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if last {
            out.push('/');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &str) -> String {
        Url::parse(text).unwrap_or_else(|status| panic!("{text}: {status:?}")).text
    }

    #[test]
    fn the_parts_of_one() {
        let url = Url::parse("HTTPS://us%40er:p%3aw@ExAmple.COM:8443/a/b?c=d#e").expect("it is one");
        assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Https, "example.com", 8443));
        assert_eq!((url.authority(), url.target(), url.path()), ("example.com:8443", "/a/b?c=d", "/a/b"));
        assert_eq!(url.user(), Some(("us@er", "p:w")));
        assert_eq!(url.text(), "https://example.com:8443/a/b?c=d");
        let url = Url::parse("ws://[2001:DB8::1]").expect("it is one");
        assert_eq!(
            (url.host(), url.authority(), url.host_and_port()),
            ("2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".to_owned())
        );
    }

    #[test]
    fn there_is_one_text_for_one_place() {
        for text in ["http://a", "http://a/", "http://A:80", "http://a:/", "http://u@a", "http://a/#b", "http://a/b/.."]
        {
            assert_eq!(text_of(text), "http://a/", "{text}");
        }
        assert_eq!(text_of("http://a?b"), "http://a/?b");
        assert_eq!(text_of("https://a:443/b//c/"), "https://a/b//c/");
        assert_eq!(text_of("http://a:443"), "http://a:443/");
        assert_eq!(text_of("http://a/\u{fc} \"%20?x|y"), "http://a/%C3%BC%20%22%20?x%7Cy");
        assert_eq!(text_of("http://a/b/%2e%2E/c/./%2e"), "http://a/c/");
    }

    #[test]
    fn what_is_no_url() {
        let texts = [
            "",
            "a",
            "/a",
            "http:",
            "http:/a",
            "http:a",
            "http:\\\\a",
            "ftp://a",
            "http://",
            "http:///a",
            "http://@",
            "http://:80",
            "http://a:b",
            "http://a:0",
            "http://a:65536",
            "http://a:+80",
            "http://a b",
            "http://a%20b",
            "http://a\\b",
            "http://[::1",
            "http://[1.2.3.4]",
            "http://[::1%25lo]",
            "http://::1",
            "http://\u{fc}.de",
            "http://127.1",
            "http://0x7f.0.0.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://1.2.3.4.5",
            "http://1.2.3.256",
            "http://a..b",
            "http://.",
            "http://a/\n",
            "http://a/b\r\nHost: c",
            "http://a/?\0",
            "http://a\n",
            "http://u%zz@a",
            "http://u%0a@a",
            "http://a,b",
            "http://[::1]a",
            " http://a",
            "http://a:80:80",
            "http://u%3as:p@a",
        ];
        for text in texts {
            assert!(Url::parse(text).is_err(), "{text:?}: {:?}", Url::parse(text));
        }
        let long = format!("http://a/{}", "b".repeat(LONGEST));
        assert!(Url::parse(&long).is_err() && Url::parse(&format!("http://{}", "a".repeat(64))).is_err());
    }

    #[test]
    fn a_password_is_not_told() {
        assert!(Url::parse("http://user:secret@a b").is_err());
        let told = crate::status::detail_of(Status::ERR_INVALID_ARGUMENT).expect("it says why");
        assert!(told.contains("a b") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn the_rfcs_references() {
        let base = Url::parse("http://a/b/c/d;p?q").expect("it is one");
        let cases = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x", "http://a/b/c/g;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            (".g", "http://a/b/c/.g"),
            ("g..", "http://a/b/c/g.."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s/../x", "http://a/b/c/g"),
            ("https://x/y", "https://x/y"),
            ("g?a=b:c", "http://a/b/c/g?a=b:c"),
            ("/a?http://b", "http://a/a?http://b"),
        ];
        for (reference, joined) in cases {
            assert_eq!(base.join(reference.as_bytes()).map(|url| url.text), Ok(joined.to_owned()), "{reference}");
        }
        for reference in ["g:h", "http:g", "javascript:1", "//", "/a\nb", "mailto:a@b"] {
            assert!(base.join(reference.as_bytes()).is_err(), "{reference}");
        }
        assert!(base.join(b"/\xff").is_err());
    }

    #[test]
    fn origins() {
        let same = |a, b| Url::parse(a).and_then(|a| Ok(a.is_same_origin(&Url::parse(b)?)));
        assert_eq!(same("http://a/x", "http://A:80/y"), Ok(true));
        assert_eq!(same("http://a", "https://a"), Ok(false));
        assert_eq!(same("http://a", "http://a:81"), Ok(false));
        assert_eq!(same("http://a", "http://b"), Ok(false));
    }
}
