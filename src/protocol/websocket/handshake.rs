//! The opening handshake: RFC 6455, section 4. What a server makes of a request, and a client of the answer.

use super::deflate::Direction;
use super::extensions::{self, Agreed, Wanted};
use crate::protocol::http::Fields;
use crate::protocol::http::fields;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What the key is joined with.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The values as text. None: one is none.
fn texts<'a>(fields: &'a Fields, name: &str) -> Option<Vec<&'a str>> {
    fields.all(name.as_bytes()).map(|value| std::str::from_utf8(value).ok()).collect()
}

/// The one value of a field; None: there is none, or more than one.
fn one<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    match texts(fields, name)?.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// Whether a request asks for a WebSocket at all.
pub fn is_wanted(fields: &Fields) -> bool {
    fields.lists(b"upgrade", b"websocket") && fields.lists(b"connection", b"upgrade")
}

/// What answers a key.
pub fn answer(key: &str) -> String {
    // What RFC 6455 says; nothing relies on its being a strong hash.
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    BASE64.encode(hash.finish())
}

/// A key of these random bytes.
pub fn key(random: [u8; 16]) -> String {
    BASE64.encode(random)
}

/// The credentials of a URL, as RFC 7617 has them.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

/// What a server, or a client, wants.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Subprotocols that it speaks, the dearest first.
    pub subprotocols: Vec<String>,
    /// Origins whose pages may connect, "*" for all; None: the server's own alone. Of a server.
    pub origins: Option<Vec<String>>,
    /// Compression; None: none.
    pub deflate: Option<Wanted>,
}

/// What was agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The subprotocol.
    pub subprotocol: Option<String>,
    /// Compression.
    pub deflate: Option<Agreed>,
}

/// Why a server refuses, and with which status.
#[derive(Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub struct Refusal {
    pub status: u16,
    pub why: String,
}

fn refusal<T>(status: u16, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { status, why: why.into() })
}

/// What a server makes of a request: what was agreed on, and the fields of its answer, which has the status 101;
/// Connection is not among them.
pub fn accept(
    (method, is_1_1): (&str, bool),
    fields: &Fields,
    terms: &Terms,
) -> Result<(Opened, Vec<(&'static str, String)>), Refusal> {
    if method != "GET" {
        return refusal(405, "a WebSocket is asked for by GET");
    }
    if !is_1_1 || !is_wanted(fields) {
        return refusal(426, "this is for WebSockets");
    }
    if one(fields, "sec-websocket-version") != Some("13") {
        return refusal(426, "the version of WebSockets is 13");
    }
    let key = one(fields, "sec-websocket-key").filter(|key| BASE64.decode(key).is_ok_and(|key| key.len() == 16));
    let Some(key) = key else { return refusal(400, "Sec-WebSocket-Key is not 16 bytes in base64") };
    check_origin(fields, terms)?;
    let mut answers = vec![("Upgrade", "websocket".to_owned()), ("Sec-WebSocket-Accept", answer(key))];
    let mut opened = Opened::default();
    let offers = |spoken: &&String| {
        fields.all(b"sec-websocket-protocol").flat_map(fields::elements).any(|offered| offered == spoken.as_bytes())
    };
    let chosen = terms.subprotocols.iter().find(offers);
    if let Some(chosen) = chosen {
        answers.push(("Sec-WebSocket-Protocol", chosen.clone()));
        opened.subprotocol = Some(chosen.clone());
    }
    let asked = texts(fields, "sec-websocket-extensions").ok_or(extensions::NoList);
    let accepted = asked.and_then(|asked| extensions::accept(&asked, &terms.deflate.unwrap_or_default()));
    let Ok(accepted) = accepted else { return refusal(400, "Sec-WebSocket-Extensions is not a list of extensions") };
    if let Some((agreed, answer)) = accepted.filter(|_| terms.deflate.is_some()) {
        answers.push(("Sec-WebSocket-Extensions", answer));
        opened.deflate = Some(agreed);
    }
    Ok((opened, answers))
}

/// A page of any site can have a browser connect, with all cookies: only the browser's word tells which site it was.
fn check_origin(fields: &Fields, terms: &Terms) -> Result<(), Refusal> {
    // Without one it is no browser.
    let Some(first) = fields.get(b"origin") else { return Ok(()) };
    let origin = std::str::from_utf8(first).unwrap_or_default();
    let may = match &terms.origins {
        Some(origins) => origins.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin)),
        None => {
            let host = one(fields, "host").unwrap_or_default();
            let own = origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host));
            own && !host.is_empty()
        }
    };
    if may && fields.all(b"origin").count() == 1 {
        Ok(())
    } else {
        refusal(403, format!("pages of {origin} may not connect here"))
    }
}

/// The fields of a client's request, Host not among them.
pub fn request(key: &str, terms: &Terms) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("Upgrade", "websocket".to_owned()),
        ("Connection", "Upgrade".to_owned()),
        ("Sec-WebSocket-Version", "13".to_owned()),
        ("Sec-WebSocket-Key", key.to_owned()),
    ];
    if !terms.subprotocols.is_empty() {
        fields.push(("Sec-WebSocket-Protocol", terms.subprotocols.join(", ")));
    }
    if let Some(wanted) = &terms.deflate {
        fields.push(("Sec-WebSocket-Extensions", extensions::offer(wanted)));
    }
    fields
}

/// What a client makes of an answer with the status 101. Err: why it is none.
pub fn check(fields: &Fields, key: &str, terms: &Terms) -> Result<Opened, String> {
    if !one(fields, "upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err("its Upgrade is not websocket".to_owned());
    }
    if !fields.lists(b"connection", b"upgrade") {
        return Err("its Connection is not Upgrade".to_owned());
    }
    if one(fields, "sec-websocket-accept") != Some(&answer(key)) {
        return Err("its Sec-WebSocket-Accept does not answer the key".to_owned());
    }
    let chosen = fields.all(b"sec-websocket-protocol").collect::<Vec<_>>();
    let subprotocol = match chosen.as_slice() {
        [] => None,
        [one] => {
            let spoken = terms.subprotocols.iter().find(|spoken| spoken.as_bytes() == *one);
            let strange = || format!("it has chosen the subprotocol {}, which was not offered", one.escape_ascii());
            Some(spoken.ok_or_else(strange)?.clone())
        }
        [_, ..] => return Err("it has chosen more than one subprotocol".to_owned()),
    };
    let answers = texts(fields, "sec-websocket-extensions");
    let answers = answers.ok_or("its Sec-WebSocket-Extensions is not a list of extensions")?;
    let deflate = extensions::check(&answers, terms.deflate.as_ref())?;
    Ok(Opened { subprotocol, deflate })
}

/// Whether this can be a subprotocol.
pub fn is_subprotocol(name: &str) -> bool {
    fields::is_token(name.as_bytes())
}

/// A direction of compression, if the numbers are some.
pub fn direction(window_bits: i32, no_context_takeover: bool) -> Option<Direction> {
    let window_bits = u8::try_from(window_bits).ok().filter(|bits| (9..=15).contains(bits))?;
    Some(Direction { window_bits, no_context_takeover })
}
