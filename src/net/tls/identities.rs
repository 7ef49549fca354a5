//! A server's certificates, of which the client's hello picks one.

use super::configuration::{Identity, provider};
use crate::status::{Result, Status};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct Identities {
    all: Vec<Arc<CertifiedKey>>,
    /// Those that have a name, in lower case, or one such as `*.example.org`.
    by_name: HashMap<String, Vec<usize>>,
}

impl Identities {
    /// One at least; each key must be its certificate's.
    pub fn new(identities: &[Identity]) -> Result<Self> {
        if identities.is_empty() {
            return Err(Status::ERR_INVALID_ARGUMENT.because("a TLS server needs a certificate and its private key"));
        }
        let mut this = Self { all: Vec::new(), by_name: HashMap::new() };
        for identity in identities {
            this.add(identity)?;
        }
        Ok(this)
    }

    fn add(&mut self, identity: &Identity) -> Result {
        let (certificate, key) = (&identity.certificate, &identity.private_key);
        let chain = certificate.certificates()?;
        let key = CertifiedKey::from_der(chain, key.private_key()?, &provider()).map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => {
                key.bad(format_args!("the private key is not that of the certificate in {}", certificate.name()))
            }
            why => key.bad(why),
        })?;
        let own = key.cert.first().map(|own| webpki::EndEntityCert::try_from(own).map_err(|why| certificate.bad(why)));
        for name in own.transpose()?.iter().flat_map(|own| own.valid_dns_names()) {
            self.by_name.entry(name.to_ascii_lowercase()).or_default().push(self.all.len());
        }
        self.all.push(Arc::new(key));
        Ok(())
    }

    /// The first.
    pub fn first(&self) -> CertifiedKey {
        (*self.all[0]).clone()
    }

    fn named(&self, name: &str) -> &[usize] {
        let name = name.to_ascii_lowercase();
        let wildcard = || name.split_once('.').and_then(|(_, rest)| self.by_name.get(&format!("*.{rest}")));
        self.by_name.get(&name).or_else(wildcard).map_or(&[], Vec::as_slice)
    }
}

impl ResolvesServerCert for Identities {
    /// The one that has the name, and a key that the client can verify; the first for those who ask for nobody here.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().map_or(&[][..], |name| self.named(name));
        let schemes = hello.signature_schemes();
        let fits = |place: &&usize| self.all[**place].key.choose_scheme(schemes).is_some();
        let place = named.iter().find(fits).or(named.first()).copied().unwrap_or(0);
        self.all.get(place).cloned()
    }
}
