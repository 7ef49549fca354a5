//! What goes wrong with TLS, in the library's words.

use super::verifier::NotPinned;
use crate::status::Status;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, PeerMisbehaved};
use std::fmt;
use std::io;

/// Travels as an error of the system, among which it is found by [`of`].
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What it is.
    pub status: Status,
    /// In words.
    pub words: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl std::error::Error for Trouble {}

impl From<Trouble> for io::Error {
    fn from(trouble: Trouble) -> Self {
        io::Error::other(trouble)
    }
}

/// The trouble with TLS that an error stands for; None: it is the system's.
pub fn of(why: &io::Error) -> Option<&Trouble> {
    why.get_ref()?.downcast_ref()
}

/// The connection ended without the words that it is to end with: somebody may have cut it.
pub fn truncated() -> Trouble {
    let words = "the connection ended without a close_notify of TLS: what came may not be all".to_owned();
    Trouble { status: Status::ERR_TRUNCATED, words }
}

/// The peer went away before there was a connection.
pub fn left() -> Trouble {
    let words = "the peer closed the connection in the middle of the TLS handshake".to_owned();
    Trouble { status: Status::ERR_CONNECTION_LOST, words }
}

/// What only TLS 1.3 has was asked for.
pub fn older() -> Trouble {
    let words = "the connection has TLS 1.2, whose keys stay the same".to_owned();
    Trouble { status: Status::ERR_NOT_SUPPORTED, words }
}

/// What rustls says.
pub fn told(why: &Error) -> Trouble {
    let (status, words) = match why {
        Error::InvalidCertificate(why) => of_certificate(why),
        Error::NoCertificatesPresented => {
            (Status::ERR_CERTIFICATE_MISSING, "the peer has shown no certificate, which is required".to_owned())
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::NoApplicationProtocol => (Status::ERR_ALPN, "the peer speaks none of our protocols (ALPN)".to_owned()),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            (Status::ERR_ALPN, "the peer has chosen a protocol that was not offered (ALPN)".to_owned())
        }
        Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests) => {
            (Status::ERR_LIMIT, "the peer has changed its keys too often without sending anything".to_owned())
        }
        Error::PeerIncompatible(why) => (Status::ERR_TLS, incompatible(why)),
        why => (Status::ERR_TLS, format!("TLS: {why}")),
    };
    Trouble { status, words }
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => "there is no cipher suite that both sides have".to_owned(),
        PeerIncompatible::NoKxGroupsInCommon => "there is no key exchange that both sides have".to_owned(),
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => "there is no version of TLS that both sides speak".to_owned(),
        why => format!("the peer's TLS does not go with ours: {why:?}"),
    }
}

fn of_certificate(why: &CertificateError) -> (Status, String) {
    match why {
        CertificateError::Expired => (Status::ERR_CERTIFICATE_EXPIRED, "the peer's certificate has expired".to_owned()),
        CertificateError::ExpiredContext { not_after, .. } => {
            (Status::ERR_CERTIFICATE_EXPIRED, format!("the peer's certificate has expired, on {}", date(*not_after)))
        }
        CertificateError::NotValidYet => {
            (Status::ERR_CERTIFICATE_EXPIRED, "the peer's certificate is not valid yet".to_owned())
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let words = format!("the peer's certificate is not valid yet, but from {} on", date(*not_before));
            (Status::ERR_CERTIFICATE_EXPIRED, words)
        }
        CertificateError::NotValidForName => {
            (Status::ERR_CERTIFICATE_NAME, "the peer's certificate is for another name".to_owned())
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            (Status::ERR_CERTIFICATE_NAME, wrong_name(expected, presented))
        }
        CertificateError::UnknownIssuer => {
            (Status::ERR_CERTIFICATE_ISSUER, "the peer's certificate is issued by nobody that is trusted".to_owned())
        }
        CertificateError::Other(other) if other.0.is::<NotPinned>() => {
            (Status::ERR_CERTIFICATE_PIN, other.0.to_string())
        }
        why => (Status::ERR_CERTIFICATE_INVALID, format!("the peer's certificate is not valid: {why}")),
    }
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let name = |name: &String| {
        // As webpki shows a name of one sort: DnsName("example.org").
        name.split('"').nth(1).map_or_else(|| name.clone(), str::to_owned)
    };
    let presented = presented.iter().map(name).collect::<Vec<_>>().join(", ");
    let presented = if presented.is_empty() { "no name at all".to_owned() } else { presented };
    format!("the peer's certificate is for {presented}, not for {}", expected.to_str())
}

fn of_alert(alert: AlertDescription) -> (Status, String) {
    let status = match alert {
        AlertDescription::NoApplicationProtocol => Status::ERR_ALPN,
        _ => Status::ERR_TLS_ALERT,
    };
    (status, format!("the peer has sent the alert {} ({})", snake(&format!("{alert:?}")), u8::from(alert)))
}

/// As the RFC writes it: bad_certificate, unknown_ca, unknown_psk_identity.
fn snake(camel: &str) -> String {
    let letters = camel.as_bytes();
    let is_small = |place: usize| letters.get(place).is_some_and(u8::is_ascii_lowercase);
    let mut words = String::new();
    for (place, letter) in camel.char_indices() {
        if letter.is_ascii_uppercase() && place != 0 && (is_small(place - 1) || is_small(place + 1)) {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// A day, and the time of day: 2026-01-31 23:59:59 UTC.
fn date(time: UnixTime) -> String {
    let (days, second) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    // Days from a first of March on, so that the leap day is a year's last.
    let from_march = days + 719_468;
    let (era, day) = (from_march / 146_097, from_march % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let of = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(of(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(of(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(of(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(of(1_709_251_199), "2024-02-29 23:59:59 UTC");
        assert_eq!(of(4_102_444_800), "2100-01-01 00:00:00 UTC");
    }

    #[test]
    fn alerts_are_named_as_the_rfc_does() {
        assert_eq!(
            of_alert(AlertDescription::CertificateUnknown).1,
            "the peer has sent the alert certificate_unknown (46)"
        );
        assert_eq!(of_alert(AlertDescription::UnknownCA).1, "the peer has sent the alert unknown_ca (48)");
        assert_eq!(
            of_alert(AlertDescription::UnknownPSKIdentity).1,
            "the peer has sent the alert unknown_psk_identity (115)"
        );
        assert_eq!(of_alert(AlertDescription::NoApplicationProtocol).0, Status::ERR_ALPN);
    }
}
