//! Which request follows a redirect (RFC 9110, section 15.4), and what of the one before it may be sent along.

use crate::protocol::http::url::Url;

/// What a response's code says of the next request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Redirect {
    /// By the same method, with the same body.
    Same,
    /// By GET, without a body.
    Get,
}

/// How a response redirects a request by this method; None: it does not.
pub fn of(code: u16, method: &[u8]) -> Option<Redirect> {
    match code {
        // As browsers have done it from the beginning; RFC 9110 allows it.
        301 | 302 if method == b"POST" => Some(Redirect::Get),
        303 if method != b"HEAD" => Some(Redirect::Get),
        301 | 302 | 303 | 307 | 308 => Some(Redirect::Same),
        _ => None,
    }
}

/// Whether a field goes along to where a request is redirected.
pub fn keeps(name: &[u8], how: Redirect, same_origin: bool) -> bool {
    let is = |list: &[&str]| list.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()));
    let secret = is(&["authorization", "cookie", "cookie2", "host", "proxy-authorization", "www-authenticate"]);
    let of_body = name.len() > 8 && name[..8].eq_ignore_ascii_case(b"content-") || is(&["expect"]);
    (same_origin || !secret) && (how == Redirect::Same || !of_body)
}

/// Whether the redirect leaves TLS.
pub fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme().is_secure() && !to.scheme().is_secure()
}

/// Whether a request that may have been seen may be sent again (RFC 9110, 9.2.2).
pub fn is_idempotent(method: &[u8]) -> bool {
    [&b"GET"[..], b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"].contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_after_each_code() {
        let cases = [
            (301, "POST", Some(Redirect::Get)),
            (302, "POST", Some(Redirect::Get)),
            (303, "POST", Some(Redirect::Get)),
            (307, "POST", Some(Redirect::Same)),
            (308, "POST", Some(Redirect::Same)),
            (301, "PUT", Some(Redirect::Same)),
            (303, "PUT", Some(Redirect::Get)),
            (302, "GET", Some(Redirect::Same)),
            (303, "HEAD", Some(Redirect::Same)),
            (300, "GET", None),
            (304, "GET", None),
            (305, "GET", None),
            (200, "GET", None),
        ];
        for (code, method, how) in cases {
            assert_eq!(of(code, method.as_bytes()), how, "{code} {method}");
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for name in ["Authorization", "cookie", "HOST", "Proxy-Authorization"] {
            assert!(keeps(name.as_bytes(), Redirect::Same, true) && !keeps(name.as_bytes(), Redirect::Same, false));
        }
        assert!(keeps(b"Accept", Redirect::Get, false));
        for name in ["Content-Type", "content-length", "Expect"] {
            assert!(keeps(name.as_bytes(), Redirect::Same, false) && !keeps(name.as_bytes(), Redirect::Get, true));
        }
    }
}
