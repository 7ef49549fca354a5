//! What a client thinks of a server's certificate.

use super::configuration::provider;
use crate::status::{Result, Status};
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// See the module. That the server has the key of its certificate is verified in every case.
#[derive(Debug)]
pub struct Verifier {
    /// None: anybody's certificate is good.
    chain: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<[u8; 32]>,
}

/// The certificate is none of those that were pinned.
#[derive(Debug)]
pub struct NotPinned {
    certificate: String,
    public_key: String,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificate, public_key } = self;
        write!(formatter, "neither the certificate (SHA-256 {certificate}) nor its public key ({public_key}) is pinned")
    }
}

impl std::error::Error for NotPinned {}

impl Verifier {
    /// Without roots, what is pinned alone is verified; without pins, nothing.
    pub fn new(roots: Option<Arc<RootCertStore>>, pins: Vec<[u8; 32]>) -> Result<Self> {
        let chain = roots.map(|roots| WebPkiServerVerifier::builder_with_provider(roots, provider()).build());
        let chain = chain.transpose().map_err(|why| Status::ERR_BAD_CERTIFICATE.because(why))?;
        Ok(Self { chain, pins })
    }

    fn check_pins(&self, certificate: &CertificateDer<'_>) -> std::result::Result<(), Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let public_key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let (whole, key) = (digest(&SHA256, certificate), digest(&SHA256, &public_key));
        if self.pins.iter().any(|pin| pin == whole.as_ref() || pin == key.as_ref()) {
            return Ok(());
        }
        let why = NotPinned { certificate: hexadecimal(whole.as_ref()), public_key: hexadecimal(key.as_ref()) };
        Err(CertificateError::Other(OtherError(Arc::new(why))).into())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_server_cert(certificate, others, name, ocsp, now)?;
        }
        self.check_pins(certificate)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
