//! Which proxy a request goes by, if by any: what the host says, or, if it asks for that, what the environment says.

use crate::protocol::http::url::{Scheme, Url};
use crate::status::{Result, Status};
use std::net::IpAddr;

/// The proxies, and what goes by none.
#[derive(Default, Debug)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    none: Vec<Exception>,
}

#[derive(Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// A name and all below it, and the port, if one is said.
    Name(String, Option<u16>),
    /// Addresses that have the first so many bits of this one.
    Addresses(IpAddr, u8),
}

impl Proxies {
    /// One proxy for everything but what `none` lists.
    pub fn one(proxy: &str, none: &str) -> Result<Self> {
        let proxy = parse(proxy)?;
        Ok(Self { http: Some(proxy.clone()), https: Some(proxy), none: exceptions(none) })
    }

    /// As curl reads the environment: http_proxy in lower case alone, since a CGI program's HTTP_PROXY is the client's to set.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let proxy = |names: &[&str]| first(names).map(|proxy| parse(&proxy)).transpose();
        let all = proxy(&["all_proxy", "ALL_PROXY"])?;
        Ok(Self {
            http: proxy(&["http_proxy"])?.or_else(|| all.clone()),
            https: proxy(&["https_proxy", "HTTPS_PROXY"])?.or(all),
            none: exceptions(&first(&["no_proxy", "NO_PROXY"]).unwrap_or_default()),
        })
    }

    /// The proxy for this URL.
    pub fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme().is_secure() { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.none.iter().any(|exception| exception.covers(url)))
    }
}

fn parse(proxy: &str) -> Result<Url> {
    let url = if proxy.contains("://") { Url::parse(proxy)? } else { Url::parse(&format!("http://{proxy}"))? };
    if url.scheme() == Scheme::Http {
        return Ok(url);
    }
    let why =
        format_args!("\"{}\" is no proxy that is known: it is reached by http, whatever is asked of it", url.text());
    Err(Status::ERR_INVALID_ARGUMENT.because(why))
}

fn exceptions(list: &str) -> Vec<Exception> {
    list.split([',', ' ']).filter(|one| !one.is_empty()).filter_map(Exception::of).collect()
}

impl Exception {
    fn of(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address = address.parse::<IpAddr>().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return Some(Self::Addresses(address, bits.parse().ok().filter(|bits| *bits <= most)?));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Addresses(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.strip_prefix('*').unwrap_or(name);
        let name = name.strip_prefix('.').unwrap_or(name);
        (!name.is_empty()).then(|| Self::Name(name.to_ascii_lowercase(), port))
    }

    fn covers(&self, url: &Url) -> bool {
        let host = url.host().strip_suffix('.').unwrap_or(url.host());
        match self {
            Self::All => true,
            Self::Name(name, port) => {
                let below =
                    host.strip_suffix(&name[..]).is_some_and(|before| before.is_empty() || before.ends_with('.'));
                below && port.is_none_or(|port| port == url.port())
            }
            Self::Addresses(network, bits) => {
                host.parse::<IpAddr>().is_ok_and(|address| shares(address, *network, *bits))
            }
        }
    }
}

fn shares(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (one, other, all) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(u32::from(one)), u128::from(u32::from(other)), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one), u128::from(other), 128),
        _ => return false,
    };
    bits == 0 || (one ^ other) >> (all - u32::from(bits)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&Url::parse(url).expect("it is a URL")).map(|proxy| proxy.authority().to_owned())
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let set = |pairs: &'static [(&str, &str)]| {
            let variable =
                |name: &str| pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
            Proxies::of_environment(variable).expect("they are proxies")
        };
        let proxies = set(&[("http_proxy", "p:1"), ("HTTPS_PROXY", "http://u:w@q:2/"), ("NO_PROXY", "c")]);
        assert_eq!(proxy_of(&proxies, "http://a"), Some("p:1".to_owned()));
        assert_eq!(proxy_of(&proxies, "https://a"), Some("q:2".to_owned()));
        assert_eq!(proxy_of(&proxies, "https://b.c"), None);
        let proxies = set(&[("HTTP_PROXY", "evil:1"), ("https_proxy", "")]);
        assert_eq!((proxy_of(&proxies, "http://a"), proxy_of(&proxies, "https://a")), (None, None));
        let proxies = set(&[("all_proxy", "p:1")]);
        assert_eq!(proxy_of(&proxies, "http://a"), Some("p:1".to_owned()));
        for other in ["socks5://a", "ws://a", "https://a", "a b"] {
            assert!(Proxies::one(other, "").is_err(), "{other}");
        }
    }

    #[test]
    fn what_goes_by_none() {
        let proxies = Proxies::one("p", "a.test, .b.test,*.c.test d.test:81,10.0.0.0/8,::1,[fe80::1],192.168.1.1,x/y,")
            .expect("it is one");
        let none = [
            "http://a.test",
            "http://w.a.test",
            "http://A.TEST.",
            "http://b.test",
            "http://w.b.test",
            "http://w.c.test",
            "http://d.test:81",
            "http://10.1.2.3",
            "http://[::1]",
            "http://[fe80::1]",
            "http://192.168.1.1",
        ];
        for url in none {
            assert_eq!(proxy_of(&proxies, url), None, "{url}");
        }
        for url in [
            "http://xa.test",
            "http://test",
            "http://d.test",
            "http://11.1.2.3",
            "http://192.168.1.2",
            "http://[::2]",
            "http://10.test",
        ] {
            assert_eq!(proxy_of(&proxies, url), Some("p".to_owned()), "{url}");
        }
        let all = Proxies::one("p", "*").expect("it is one");
        assert_eq!(proxy_of(&all, "http://a"), None);
    }
}
