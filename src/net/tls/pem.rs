//! Certificates and keys as PEM, of files or of memory.

use crate::net::error;
use crate::platform::path_of;
use crate::status::{Result, Status};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::borrow::Cow;

/// Some PEM, and how messages name it.
#[derive(Clone)]
pub struct Pem<'a> {
    name: String,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Pem<'a> {
    /// A file, read now.
    pub fn of_file(path: &[u8]) -> Result<Pem<'static>> {
        let name = String::from_utf8_lossy(path).into_owned();
        let Some(place) = path_of(path) else {
            return Err(Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is no path")));
        };
        let bytes = std::fs::read(place).map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => Status::ERR_NOT_FOUND.because(format_args!("{name}: {why}")),
            _ => error::refused(&name, &why),
        })?;
        Ok(Pem { name, bytes: Cow::Owned(bytes) })
    }

    /// What is in memory; the name is for messages.
    pub fn of_memory(name: &str, bytes: &'a [u8]) -> Self {
        Pem { name: name.to_owned(), bytes: Cow::Borrowed(bytes) }
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All certificates in it, one at least.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let certificates = CertificateDer::pem_slice_iter(&self.bytes).collect::<std::result::Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(self.bad("there is no certificate in it")),
            Ok(certificates) => Ok(certificates),
            Err(why) => Err(self.bad(words(&why))),
        }
    }

    /// The first private key in it.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|why| match why {
            pem::Error::NoItemsFound if self.has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                self.bad("the private key is encrypted, which is not supported")
            }
            pem::Error::NoItemsFound => self.bad("there is no private key in it"),
            why => self.bad(words(&why)),
        })
    }

    fn has(&self, mark: &[u8]) -> bool {
        self.bytes.windows(mark.len()).any(|window| window == mark)
    }

    /// The refusal of what is in it.
    pub fn bad(&self, why: impl std::fmt::Display) -> Status {
        Status::ERR_BAD_CERTIFICATE.because(format_args!("{}: {why}", self.name))
    }
}

fn words(why: &pem::Error) -> String {
    format!("it is not PEM: {why}")
}
