//! Who is trusted to issue certificates.
//!
//! The system's roots are read by rustls-native-certs, once for the process, and rustls itself verifies against them. The
//! system's own verifiers, which rustls-platform-verifier would ask, may wait for the network in the middle of a
//! handshake, which would hold up the loop.

use super::pem::Pem;
use crate::status::{Result, Status};
use rustls::RootCertStore;
use std::sync::{Arc, Mutex, PoisonError};

/// Those in a bundle, each of which must be good.
pub fn given(ca: &Pem) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|why| ca.bad(why))?;
    }
    Ok(Arc::new(roots))
}

/// Those that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. Those that cannot be read are left out.
pub fn of_system() -> Result<Arc<RootCertStore>> {
    static SYSTEM: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);
    let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = &*system {
        return Ok(Arc::clone(roots));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "it has none".to_owned(), ToString::to_string);
        return Err(Status::ERR_NOT_FOUND.because(format_args!("the root certificates of the system: {why}")));
    }
    let roots = Arc::new(roots);
    *system = Some(Arc::clone(&roots));
    Ok(roots)
}
