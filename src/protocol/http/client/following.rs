//! Redirects of a request that is under way.

use super::connection::Head;
use super::exchange::Exchange;
use super::redirect::{self, Redirect};
use super::sending::Content;
use crate::handles::Item;
use crate::protocol::http::Fields;
use crate::protocol::http::url::{Scheme, Url};
use crate::status::{Result, Status};

/// The request that follows.
pub struct Next {
    url: Url,
    how: Redirect,
}

/// Whether a response leads to another request. An error: it does, and may not.
pub(super) fn of(exchange: Item<Exchange>, head: &Head) -> Result<Option<Next>> {
    let asked =
        exchange.with_request(|request| (request.url.clone(), request.redirects, request.content.is_repeatable()));
    let (Some((url, most, is_repeatable)), Some(agent)) = (asked, exchange.owner()) else { return Ok(None) };
    let Some(how) = redirect::of(head.code, &exchange.method()) else { return Ok(None) };
    let mut places = head.fields.all(b"location");
    let (Some(place), 1..) = (places.next(), most) else { return Ok(None) };
    if places.next().is_some() {
        return Err(Status::ERR_BAD_MESSAGE.because("a redirect with more than one Location"));
    }
    if exchange.redirects.get() >= most {
        return Err(Status::ERR_LIMIT.because(format_args!("more than {most} redirects, the limit")));
    }
    let refused = |why: String| Status::ERR_REDIRECT.because(why);
    let target = url.join(place).map_err(|why| {
        let words = crate::status::detail_of(why).unwrap_or_default();
        refused(format!("it is redirected to where no request goes: {words}"))
    })?;
    if !matches!(target.scheme(), Scheme::Http | Scheme::Https) {
        return Err(refused(format!("it is redirected to {}, which is not http or https", target.text())));
    }
    if redirect::is_downgrade(&url, &target) && !agent.settings().downgrade {
        return Err(refused(format!("it is redirected from https to {}, which is not secure", target.text())));
    }
    if how == Redirect::Same && !is_repeatable {
        return Err(refused(format!("it is redirected to {}, and its body cannot be sent again", target.text())));
    }
    Ok(Some(Next { url: target, how }))
}

/// Changes the request into the one that follows.
pub(super) fn follow(exchange: Item<Exchange>, Next { url, how }: Next) {
    exchange.redirects.set(exchange.redirects.get() + 1);
    exchange.with_request(|request| {
        let same = request.url.is_same_origin(&url);
        let mut fields = Fields::new();
        for (name, value) in request.fields.iter().filter(|(name, _)| redirect::keeps(name, how, same)) {
            // There was room for more before.
            let _ = fields.push(name, value);
        }
        request.fields = fields;
        if how == Redirect::Get {
            request.method = "GET".to_owned();
            request.content = Content::None;
        }
        if !same {
            request.user = None;
            request.endpoint = None;
        }
        request.url = url;
    });
}
