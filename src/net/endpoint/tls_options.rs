//! What an endpoint says of TLS. Files are read when it is used, not here.

use super::{Parsed, Part, bad};
use crate::net::tls::{
    Client, ClientCertificates, ClientOptions, Common, HANDSHAKE, Identity, Pem, Server, ServerOptions, Version, pins,
    protocols,
};
use crate::status::{Result, Status};
use std::sync::Arc;

/// See the module. Paths are bytes, as they are written behind the `=`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is named after its option")]
pub struct TlsOptions {
    pub alpn: Vec<Vec<u8>>,
    pub ca: Option<Vec<u8>>,
    pub certificate: Option<Vec<u8>>,
    pub client_ca: Option<Vec<u8>>,
    pub client_certificates: Option<ClientCertificates>,
    /// In nanoseconds; 0: as long as it takes.
    pub handshake_timeout: Option<u64>,
    pub insecure_no_verification: bool,
    pub key_log: Option<Vec<u8>>,
    pub minimum_version: Version,
    pub pins: Vec<[u8; 32]>,
    pub private_key: Option<Vec<u8>>,
    pub server_name: Option<String>,
}

impl TlsOptions {
    pub(super) fn set(&mut self, name: &str, value: Part) -> Parsed<()> {
        match name {
            "alpn" => self.alpn = value.read(protocols)?,
            "ca" => self.ca = Some(value.file()?),
            "certificate" => self.certificate = Some(value.file()?),
            "client_ca" => self.client_ca = Some(value.file()?),
            "client_certificates" => self.client_certificates = Some(value.client_certificates()?),
            "handshake_timeout" => self.handshake_timeout = Some(value.seconds()?.as_nanos() as u64),
            "insecure_no_verification" => self.insecure_no_verification = value.switch()?,
            "key_log" => self.key_log = Some(value.file()?),
            "minimum_version" => self.minimum_version = value.version()?,
            "pin" => self.pins = value.read(pins)?,
            "private_key" => self.private_key = Some(value.file()?),
            "server_name" => self.server_name = Some(value.server_name()?),
            _ => return bad(value.at(), format!("there is no option {name:?}")),
        }
        Ok(())
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn common(&self) -> Common {
        Common {
            alpn: self.alpn.clone(),
            minimum: self.minimum_version,
            handshake: Some(self.handshake_timeout.unwrap_or(HANDSHAKE)).filter(|time| *time != 0),
            key_log: self.key_log.clone(),
        }
    }

    /// A certificate and its key, if there is one; without a file of its own, the key is beside the certificate.
    fn identity(&self) -> Result<Option<Identity<'static>>> {
        let Some(certificate) = &self.certificate else {
            return match self.private_key {
                Some(_) => Err(Status::ERR_BAD_ENDPOINT.because("there is a private_key, but no certificate")),
                None => Ok(None),
            };
        };
        let private_key = Pem::of_file(self.private_key.as_ref().unwrap_or(certificate))?;
        Ok(Some(Identity { certificate: Pem::of_file(certificate)?, private_key }))
    }

    /// The configuration of a listener.
    pub fn server(&self) -> Result<Arc<Server>> {
        let Some(identity) = self.identity()? else {
            return Err(Status::ERR_BAD_ENDPOINT.because("TLS needs a certificate: certificate=FILE&private_key=FILE"));
        };
        let wanted = if self.client_ca.is_some() { ClientCertificates::Required } else { ClientCertificates::None };
        let options = ServerOptions {
            identities: vec![identity],
            client_certificates: self.client_certificates.unwrap_or(wanted),
            client_ca: self.client_ca.as_deref().map(Pem::of_file).transpose()?,
            common: self.common(),
            ..ServerOptions::default()
        };
        Server::new(&options).map(Arc::new)
    }

    /// The configuration of a client.
    pub fn client(&self) -> Result<Arc<Client>> {
        if self.is_empty() {
            return Client::usual();
        }
        let options = ClientOptions {
            ca: self.ca.as_deref().map(Pem::of_file).transpose()?,
            server_name: self.server_name.clone(),
            pins: self.pins.clone(),
            insecure: self.insecure_no_verification,
            identity: self.identity()?,
            common: self.common(),
            ..ClientOptions::default()
        };
        Client::new(&options).map(Arc::new)
    }
}

impl Part<'_> {
    fn read<T>(self, read: fn(&str) -> std::result::Result<T, String>) -> Parsed<T> {
        read(self.text()?).or_else(|why| bad(self.at(), why))
    }

    fn file(self) -> Parsed<Vec<u8>> {
        let path = self.decoded()?;
        if path.is_empty() || path.contains(&0) { bad(self.at(), "there is no path of a file") } else { Ok(path) }
    }

    fn server_name(self) -> Parsed<String> {
        let name = self.text()?;
        match crate::net::tls::server_name(name) {
            Ok(_) => Ok(name.to_owned()),
            Err(why) => bad(self.at(), crate::status::detail_of(why).unwrap_or_default()),
        }
    }

    fn client_certificates(self) -> Parsed<ClientCertificates> {
        match self.bytes() {
            b"none" => Ok(ClientCertificates::None),
            b"optional" => Ok(ClientCertificates::Optional),
            b"required" => Ok(ClientCertificates::Required),
            _ => bad(self.at(), format!("{:?} is none of none, optional and required", self.lossy())),
        }
    }

    fn version(self) -> Parsed<Version> {
        match self.bytes() {
            b"1.2" => Ok(Version::Tls12),
            b"1.3" => Ok(Version::Tls13),
            _ => bad(self.at(), format!("{:?} is neither 1.2 nor 1.3", self.lossy())),
        }
    }
}
