//! The extensions of a handshake: RFC 6455, section 9.1, and of those permessage-deflate: RFC 7692, section 7.1.

use super::deflate::Direction;
use crate::protocol::http::fields;
use std::fmt::Write;

/// The one that is known here.
const NAME: &str = "permessage-deflate";

/// What this side wants of permessage-deflate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// For what it sends: its window at most, and whether it deflates each message by itself.
    pub own: Direction,
    /// For what it receives.
    pub peer: Direction,
}

/// What was agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// What this side sends.
    pub own: Direction,
    /// What it receives.
    pub peer: Direction,
}

/// One extension of a list: its name, and its parameters with their values.
type Extension<'a> = (&'a str, Vec<(&'a str, Option<String>)>);

fn is_token(text: &str) -> bool {
    fields::is_token(text.as_bytes())
}

/// Splits where a separator is outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if char == separator && !quoted => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Quoted or not, a value is a token.
fn value(text: &str) -> Option<String> {
    let plain = match text.strip_prefix('"') {
        Some(quoted) => {
            let mut plain = String::new();
            let mut chars = quoted.strip_suffix('"')?.chars();
            while let Some(char) = chars.next() {
                plain.push(if char == '\\' { chars.next()? } else { char });
            }
            plain
        }
        None => text.to_owned(),
    };
    is_token(&plain).then_some(plain)
}

fn extension(text: &str) -> Option<Extension<'_>> {
    let mut parts = split(text, ';').into_iter().map(|part| part.trim_matches([' ', '\t']));
    let name = parts.next().filter(|name| is_token(name))?;
    let mut parameters = Vec::new();
    for part in parts {
        let (name, value_text) = match part.split_once('=') {
            Some((name, text)) => (name.trim_end(), Some(text.trim_start())),
            None => (part, None),
        };
        if !is_token(name) {
            return None;
        }
        let given = match value_text {
            Some(text) => Some(value(text)?),
            None => None,
        };
        parameters.push((name, given));
    }
    Some((name, parameters))
}

/// The extensions of a header's values. None: that is no list of extensions.
fn extensions<'a>(values: &[&'a str]) -> Option<Vec<Extension<'a>>> {
    let mut all = Vec::new();
    for one in values.iter().flat_map(|value| split(value, ',')) {
        let one = one.trim_matches([' ', '\t']);
        if !one.is_empty() {
            all.push(extension(one)?);
        }
    }
    Some(all)
}

/// The parameters of permessage-deflate; None where one is unknown, comes twice, or has a wrong value.
#[derive(Default, Debug)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Some(None): without a value, as in an offer.
    client_max_window_bits: Option<Option<u8>>,
}

fn window_bits(text: &str) -> Option<u8> {
    text.parse().ok().filter(|bits| (8..=15).contains(bits) && !text.starts_with(['0', '+']))
}

fn parameters(given: &[(&str, Option<String>)]) -> Option<Parameters> {
    let mut read = Parameters::default();
    for (name, value) in given {
        let is_new = match (*name, value) {
            ("server_no_context_takeover", None) => !std::mem::replace(&mut read.server_no_context_takeover, true),
            ("client_no_context_takeover", None) => !std::mem::replace(&mut read.client_no_context_takeover, true),
            ("server_max_window_bits", Some(bits)) => read.server_max_window_bits.replace(window_bits(bits)?).is_none(),
            ("client_max_window_bits", None) => read.client_max_window_bits.replace(None).is_none(),
            ("client_max_window_bits", Some(bits)) => {
                read.client_max_window_bits.replace(Some(window_bits(bits)?)).is_none()
            }
            _ => false,
        };
        if !is_new {
            return None;
        }
    }
    Some(read)
}

fn written(server: (bool, Option<u8>), client: (bool, Option<Option<u8>>)) -> String {
    let mut text = NAME.to_owned();
    if server.0 {
        text.push_str("; server_no_context_takeover");
    }
    if client.0 {
        text.push_str("; client_no_context_takeover");
    }
    if let Some(bits) = server.1 {
        let _ = write!(text, "; server_max_window_bits={bits}");
    }
    match client.1 {
        Some(Some(bits)) => {
            let _ = write!(text, "; client_max_window_bits={bits}");
        }
        Some(None) => text.push_str("; client_max_window_bits"),
        None => {}
    }
    text
}

/// A bound, where it is one.
fn bound(bits: u8) -> Option<u8> {
    (bits < 15).then_some(bits)
}

/// What a client offers.
pub fn offer(wanted: &Wanted) -> String {
    let server = (wanted.peer.no_context_takeover, bound(wanted.peer.window_bits));
    written(server, (wanted.own.no_context_takeover, Some(bound(wanted.own.window_bits))))
}

/// The header is no list of extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoList;

/// What a server makes of the offers: the first that it can take, and what it answers. None: it takes none.
pub fn accept(values: &[&str], wanted: &Wanted) -> Result<Option<(Agreed, String)>, NoList> {
    let offers = extensions(values).ok_or(NoList)?;
    let ours = offers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(NAME));
    Ok(ours.filter_map(|(_, given)| parameters(given)).next().map(|offer| taken(&offer, wanted)))
}

fn taken(offer: &Parameters, wanted: &Wanted) -> (Agreed, String) {
    let own = Direction {
        window_bits: wanted.own.window_bits.min(offer.server_max_window_bits.unwrap_or(15)),
        no_context_takeover: wanted.own.no_context_takeover || offer.server_no_context_takeover,
    };
    // Only a client that says that it can is told to use a smaller window.
    let asked = offer.client_max_window_bits.map(|bits| bits.unwrap_or(15).min(wanted.peer.window_bits));
    let peer = Direction {
        window_bits: asked.unwrap_or(15),
        no_context_takeover: wanted.peer.no_context_takeover || offer.client_no_context_takeover,
    };
    let said = offer.server_max_window_bits.map(|_| own.window_bits).or_else(|| bound(own.window_bits));
    let answer = written((own.no_context_takeover, said), (peer.no_context_takeover, asked.and_then(bound).map(Some)));
    (Agreed { own, peer }, answer)
}

/// What a client makes of a server's answer to its offer (None: it made none). Err: why that is no answer.
pub fn check(values: &[&str], offered: Option<&Wanted>) -> Result<Option<Agreed>, String> {
    let answers = extensions(values).ok_or("its Sec-WebSocket-Extensions is not a list of extensions")?;
    let (name, given) = match answers.as_slice() {
        [] => return Ok(None),
        [one] => one,
        [_, ..] => return Err("it has chosen more extensions than were offered".to_owned()),
    };
    let offered = offered.filter(|_| name.eq_ignore_ascii_case(NAME));
    let offered = offered.ok_or_else(|| format!("it has chosen the extension {name}, which was not offered"))?;
    let wrong = || "it has chosen parameters of permessage-deflate that were not offered".to_owned();
    let answer = parameters(given).ok_or_else(wrong)?;
    let own_bits = match answer.client_max_window_bits {
        Some(None) => return Err(wrong()),
        Some(Some(bits)) => bits,
        None => 15,
    };
    let peer = Direction {
        window_bits: answer.server_max_window_bits.unwrap_or(15),
        no_context_takeover: answer.server_no_context_takeover,
    };
    let refuses =
        peer.window_bits > offered.peer.window_bits || (offered.peer.no_context_takeover && !peer.no_context_takeover);
    if refuses || answer.client_max_window_bits.is_some() && own_bits > offered.own.window_bits {
        return Err(wrong());
    }
    let own = Direction {
        window_bits: own_bits.min(offered.own.window_bits),
        no_context_takeover: answer.client_no_context_takeover || offered.own.no_context_takeover,
    };
    Ok(Some(Agreed { own, peer }))
}
