//! Cookies (RFC 6265): what servers have set, and what goes along with a request.
//!
//! Which domains are public ("co.uk") nobody can tell without a list that changes every week, and a cookie for one of them would be
//! seen by strangers. The host may say; where it does not, a cookie for a parent domain is kept for the host alone that set it.

use crate::protocol::http::date;
use crate::protocol::http::fields::{is_token, trim};
use crate::protocol::http::url::Url;

/// A cookie that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    domain: String,
    /// No other host than the domain itself gets it.
    host_only: bool,
    path: String,
    secure: bool,
    /// Seconds since 1970; None: as long as the jar lasts.
    expires: Option<i64>,
    /// The order of making, which breaks ties.
    made: u64,
}

/// See the module.
#[derive(Default)]
pub struct Jar {
    cookies: Vec<Cookie>,
    made: u64,
}

/// What RFC 6265 asks for at least, and what keeps a jar small.
const PER_DOMAIN: usize = 50;
const IN_ALL: usize = 3000;
const LONGEST: usize = 4096;

/// Whether everybody may register names below this one.
pub type IsPublic<'a> = &'a dyn Fn(&str) -> Option<bool>;

impl Jar {
    /// Keeps what a Set-Cookie of a response from this URL says, if it may. False: it was refused.
    pub fn set(&mut self, url: &Url, header: &[u8], now: i64, is_public: IsPublic) -> bool {
        let Some(mut cookie) = read(url, header, now, is_public) else { return false };
        self.drop_expired(now);
        let same = |one: &Cookie| one.name == cookie.name && one.domain == cookie.domain && one.path == cookie.path;
        if let Some(place) = self.cookies.iter().position(same) {
            // A cookie of TLS is not to be replaced by somebody on the way to a server without.
            if self.cookies[place].secure && !url.scheme().is_secure() {
                return false;
            }
            cookie.made = self.cookies[place].made;
            self.cookies.remove(place);
        } else {
            self.made += 1;
            cookie.made = self.made;
        }
        if cookie.expires.is_none_or(|expires| expires > now) {
            self.make_room(&cookie.domain);
            self.cookies.push(cookie);
        }
        true
    }

    fn drop_expired(&mut self, now: i64) {
        self.cookies.retain(|cookie| cookie.expires.is_none_or(|expires| expires > now));
    }

    /// The oldest go.
    fn make_room(&mut self, domain: &str) {
        let of_domain = self.cookies.iter().filter(|cookie| cookie.domain == domain).count();
        let oldest = if of_domain >= PER_DOMAIN {
            self.cookies.iter().position(|cookie| cookie.domain == domain)
        } else {
            (self.cookies.len() >= IN_ALL).then_some(0)
        };
        oldest.map(|oldest| self.cookies.remove(oldest));
    }

    /// What a request to this URL has as Cookie; None: nothing.
    pub fn header(&mut self, url: &Url, now: i64) -> Option<Vec<u8>> {
        self.drop_expired(now);
        let goes = |cookie: &&Cookie| {
            let domain = cookie.domain == url.host() || !cookie.host_only && is_within(url.host(), &cookie.domain);
            domain && is_path_within(url.path(), &cookie.path) && (!cookie.secure || url.scheme().is_secure())
        };
        let mut found = self.cookies.iter().filter(goes).collect::<Vec<_>>();
        found.sort_by(|one, other| other.path.len().cmp(&one.path.len()).then(one.made.cmp(&other.made)));
        let pairs = found.iter().map(|cookie| [&cookie.name[..], b"=", &cookie.value].concat()).collect::<Vec<_>>();
        (!pairs.is_empty()).then(|| pairs.join(&b"; "[..]))
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.cookies.clear();
    }
}

/// Whether a host is a domain or below it. An address is below none.
fn is_within(host: &str, domain: &str) -> bool {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    host == domain || !is_address && host.strip_suffix(domain).is_some_and(|before| before.ends_with('.'))
}

fn is_path_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || of.ends_with('/') || rest.starts_with('/'))
}

fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(slash) if slash > 0 => url.path()[..slash].to_owned(),
        _ => "/".to_owned(),
    }
}

/// RFC 6265, 5.2 and 5.3; with the prefixes and the refusal of Secure from elsewhere of its successor.
fn read(url: &Url, header: &[u8], now: i64, is_public: IsPublic) -> Option<Cookie> {
    let mut parts = header.split(|byte| *byte == b';');
    let pair = parts.next()?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (trim(&pair[..equals]), trim(&pair[equals + 1..]));
    // What is no token could be read as two cookies when it is sent.
    if !is_token(name) || name.len() + value.len() > LONGEST || value.iter().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: url.host().to_owned(),
        host_only: true,
        path: default_path(url),
        secure: false,
        expires: None,
        made: 0,
    };
    let (mut max_age, mut domain, mut has_path) = (None, String::new(), false);
    for part in parts {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(equals) => (trim(&part[..equals]), trim(&part[equals + 1..])),
            None => (trim(part), &b""[..]),
        };
        let value = std::str::from_utf8(value).unwrap_or_default();
        match &name.to_ascii_lowercase()[..] {
            b"expires" => cookie.expires = date::parse(value.as_bytes(), now).or(cookie.expires),
            b"max-age" => max_age = seconds(value).or(max_age),
            b"domain" => domain = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase(),
            b"path" => {
                (has_path, cookie.path) =
                    if value.starts_with('/') { (true, value.to_owned()) } else { (false, default_path(url)) };
            }
            b"secure" => cookie.secure = true,
            _ => {}
        }
    }
    cookie.expires = max_age.map(|age| now.saturating_add(age)).or(cookie.expires);
    if cookie.secure && !url.scheme().is_secure() {
        return None;
    }
    if !domain.is_empty() {
        if !is_within(url.host(), &domain) {
            return None;
        }
        let public = is_public(&domain).unwrap_or(domain != url.host());
        match (public, domain == url.host()) {
            (false, _) => (cookie.domain, cookie.host_only) = (domain.clone(), false),
            // Kept for the host alone.
            (true, _) if is_public(&domain).is_none() || domain == url.host() => {}
            (true, _) => return None,
        }
    }
    let prefixed = |prefix: &[u8]| name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix);
    let of_host = cookie.secure && domain.is_empty() && has_path && cookie.path == "/";
    if prefixed(b"__Secure-") && !cookie.secure || prefixed(b"__Host-") && !of_host {
        return None;
    }
    Some(cookie)
}

/// Of a Max-Age: one below 1 has passed already.
fn seconds(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(if negative { i64::MIN } else { digits.parse().unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("it is a URL")
    }

    /// What goes to the second URL of what the first has set.
    fn sent(from: &str, headers: &[&str], to: &str, is_public: IsPublic) -> String {
        let mut jar = Jar::default();
        for header in headers {
            jar.set(&url(from), header.as_bytes(), NOW, is_public);
        }
        String::from_utf8(jar.header(&url(to), NOW).unwrap_or_default()).expect("it is text")
    }

    fn back(from: &str, headers: &[&str], to: &str) -> String {
        sent(from, headers, to, &|_| None)
    }

    #[test]
    fn they_come_back_to_their_host_and_path() {
        assert_eq!(back("http://a.test/", &["x=1", "y = 2 ; HttpOnly"], "http://a.test/b"), "x=1; y=2");
        assert_eq!(back("http://a.test/", &["x=1"], "http://b.test/"), "");
        assert_eq!(back("http://a.test/", &["x=1"], "http://b.a.test/"), "");
        assert_eq!(back("http://a.test/p/q", &["x=1"], "http://a.test/p"), "x=1");
        assert_eq!(back("http://a.test/p/q", &["x=1"], "http://a.test/pq"), "");
        assert_eq!(back("http://a.test/", &["x=1; path=/p", "y=2; path=/"], "http://a.test/p/q"), "x=1; y=2");
        assert_eq!(back("http://a.test/", &["x=1; path=/p/"], "http://a.test/p"), "");
        assert_eq!(back("http://a.test/", &["x=a=b\"c\""], "http://a.test:81/"), "x=a=b\"c\"");
        assert_eq!(back("http://a.test/", &["x=1", "x=2"], "http://a.test/"), "x=2");
    }

    #[test]
    fn those_of_tls_stay_there() {
        assert_eq!(back("https://a.test/", &["x=1; Secure"], "http://a.test/"), "");
        assert_eq!(back("https://a.test/", &["x=1; Secure"], "https://a.test/"), "x=1");
        assert_eq!(back("http://a.test/", &["x=1; Secure"], "https://a.test/"), "");
        let mut jar = Jar::default();
        assert!(jar.set(&url("https://a.test/"), b"x=1; Secure", NOW, &|_| None));
        assert!(!jar.set(&url("http://a.test/"), b"x=2", NOW, &|_| None));
        assert_eq!(jar.header(&url("https://a.test/"), NOW), Some(b"x=1".to_vec()));
    }

    #[test]
    fn they_end() {
        for gone in ["x=1; Max-Age=0", "x=1; max-age=-5", "x=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert_eq!(back("http://a.test/", &["x=0", gone], "http://a.test/"), "", "{gone}");
        }
        for stays in [
            "x=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "x=1; Max-Age=99999999999999999999",
            "x=1; expires=soon",
        ] {
            assert_eq!(back("http://a.test/", &[stays], "http://a.test/"), "x=1", "{stays}");
        }
        let mut jar = Jar::default();
        assert!(jar.set(&url("http://a.test/"), b"x=1; Max-Age=5", NOW, &|_| None));
        assert!(
            jar.header(&url("http://a.test/"), NOW + 4).is_some()
                && jar.header(&url("http://a.test/"), NOW + 5).is_none()
        );
        assert!(jar.cookies.is_empty());
    }

    #[test]
    fn a_domain_is_ones_own_and_not_public() {
        let public = |domain: &str| Some(domain == "test");
        assert_eq!(sent("http://w.a.test/", &["x=1; domain=.A.test"], "http://b.a.test/", &public), "x=1");
        assert_eq!(sent("http://w.a.test/", &["x=1; domain=test"], "http://w.a.test/", &public), "");
        assert_eq!(sent("http://w.a.test/", &["x=1; domain=b.test"], "http://w.a.test/", &public), "");
        assert_eq!(sent("http://w.a.test/", &["x=1; domain=wa.test"], "http://w.a.test/", &public), "");
        assert_eq!(sent("http://test/", &["x=1; domain=test"], "http://a.test/", &public), "");
        // Nobody says what is public.
        assert_eq!(back("http://w.a.test/", &["x=1; domain=a.test"], "http://w.a.test/"), "x=1");
        assert_eq!(back("http://w.a.test/", &["x=1; domain=a.test"], "http://a.test/"), "");
        assert_eq!(back("http://a.test/", &["x=1; domain=a.test"], "http://b.a.test/"), "x=1");
        assert_eq!(back("http://1.2.3.4/", &["x=1; domain=3.4"], "http://1.2.3.4/"), "");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for header in ["x", "=1", "x y=1", "x,y=1", "x=1\n", "x=\u{1}", "\"x\"=1"] {
            assert_eq!(back("http://a.test/", &[header], "http://a.test/"), "", "{header}");
        }
        let long = format!("x={}", "1".repeat(LONGEST));
        assert_eq!(back("http://a.test/", &[&long], "http://a.test/"), "");
        assert_eq!(back("https://a.test/", &["__Host-x=1; Secure; Path=/; Domain=a.test"], "https://a.test/"), "");
        assert_eq!(back("https://a.test/", &["__Host-x=1; Secure; Path=/"], "https://a.test/"), "__Host-x=1");
        assert_eq!(back("https://a.test/", &["__Secure-x=1"], "https://a.test/"), "");
    }

    #[test]
    fn there_is_only_so_much_room() {
        let mut jar = Jar::default();
        for number in 0..PER_DOMAIN + 5 {
            assert!(jar.set(&url("http://a.test/"), format!("x{number}=1").as_bytes(), NOW, &|_| None));
        }
        assert_eq!(jar.cookies.len(), PER_DOMAIN);
        let sent = jar.header(&url("http://a.test/"), NOW).expect("there are some");
        assert!(sent.starts_with(b"x5=1; "));
    }
}
