//! TLS configurations.

use super::convert::{self, invalid};
use super::guard::{self, SharedHandle};
use super::status::lariat_status;
use super::structs::{self, Versioned, fields};
use super::types::*;
use crate::handles::{SharedBody, Word};
use crate::net::tls::{
    self, Client, ClientCertificates, ClientOptions, Common, Configuration, HANDSHAKE, Identity, Pem, Server,
    ServerOptions, Version,
};
use crate::status::Result;
use std::ffi::c_char;
use std::sync::Arc;

/// TLS 1.2, RFC 5246.
pub const LARIAT_TLS_1_2: i32 = 0x0303;
/// TLS 1.3, RFC 8446.
pub const LARIAT_TLS_1_3: i32 = 0x0304;

/// Clients are not asked for certificates.
pub const LARIAT_CLIENT_CERTIFICATES_NONE: i32 = 0;
/// Clients are asked: who has none is let in, who has a bad one is not.
pub const LARIAT_CLIENT_CERTIFICATES_OPTIONAL: i32 = 1;
/// Clients are asked: who has none is not let in.
pub const LARIAT_CLIENT_CERTIFICATES_REQUIRED: i32 = 2;

/// A certificate and its private key, each in a file or in memory, as PEM: to be filled by lariat_tls_identity_init and
/// changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_tls_identity {
    /// Set by lariat_tls_identity_init.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The file with the certificate, and behind it those that lead from it to a root; NULL: it is in memory.
    pub certificate_file: *const c_char,
    /// The file with the private key, which is not encrypted; NULL: it is in memory or, without that, where the
    /// certificate is.
    pub private_key_file: *const c_char,
    /// The certificates in memory, certificate_len bytes; may be NULL.
    pub certificate: *const u8,
    /// Bytes of certificate.
    pub certificate_len: usize,
    /// The private key in memory, private_key_len bytes; may be NULL.
    pub private_key: *const u8,
    /// Bytes of private_key.
    pub private_key_len: usize,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_tls_identity {
    const FIELDS: &'static [usize] = fields!(lariat_tls_identity:
        struct_size reserved certificate_file private_key_file certificate certificate_len private_key
        private_key_len);

    fn initial(struct_size: u32) -> Self {
        let (text, bytes) = (std::ptr::null(), std::ptr::null());
        Self {
            struct_size,
            reserved: 0,
            certificate_file: text,
            private_key_file: text,
            certificate: bytes,
            certificate_len: 0,
            private_key: bytes,
            private_key_len: 0,
        }
    }
}

/// How a TLS server is: to be filled by lariat_tls_server_options_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_tls_server_options {
    /// Set by lariat_tls_server_options_init.
    pub struct_size: u32,
    /// Whether clients are asked for certificates: LARIAT_CLIENT_CERTIFICATES_NONE (default), _OPTIONAL or _REQUIRED.
    pub client_certificates: i32,
    /// identity_count certificates, one at least. A client gets the first that has the name that it asks for and a key
    /// that it can verify, else the first of all.
    pub identities: *const lariat_tls_identity,
    /// How many there are.
    pub identity_count: usize,
    /// The file with the certificates of those who may have issued clients' certificates, as PEM; NULL: in memory.
    pub client_ca_file: *const c_char,
    /// The same in memory, client_ca_len bytes; may be NULL unless clients are asked for certificates.
    pub client_ca: *const u8,
    /// Bytes of client_ca.
    pub client_ca_len: usize,
    /// Protocols that are spoken above TLS, the most wanted first: "h2,http/1.1"; a client that offers only others is
    /// refused. NULL: nothing is said of it (default).
    pub alpn: *const c_char,
    /// The oldest version: LARIAT_TLS_1_2 (default) or LARIAT_TLS_1_3.
    pub minimum_version: i32,
    /// 1: clients get tickets, by which a later connection goes on with the session without certificates; 0: they do
    /// not. Default 1.
    pub session_tickets: i32,
    /// Seconds that a handshake may take: 0 or more, or INFINITY. Default 10.
    pub handshake_seconds: f64,
    /// A file to which the secrets of all connections are appended, for tools that are to read along, such as Wireshark:
    /// the format of SSLKEYLOGFILE. NULL: none (default).
    pub key_log_file: *const c_char,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_tls_server_options {
    const FIELDS: &'static [usize] = fields!(lariat_tls_server_options:
        struct_size client_certificates identities identity_count client_ca_file client_ca client_ca_len alpn
        minimum_version session_tickets handshake_seconds key_log_file);

    fn initial(struct_size: u32) -> Self {
        let (text, bytes) = (std::ptr::null(), std::ptr::null());
        Self {
            struct_size,
            client_certificates: LARIAT_CLIENT_CERTIFICATES_NONE,
            identities: std::ptr::null(),
            identity_count: 0,
            client_ca_file: text,
            client_ca: bytes,
            client_ca_len: 0,
            alpn: text,
            minimum_version: LARIAT_TLS_1_2,
            session_tickets: 1,
            handshake_seconds: convert::seconds(HANDSHAKE),
            key_log_file: text,
        }
    }
}

/// How a TLS client is: to be filled by lariat_tls_client_options_init and changed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lariat_tls_client_options {
    /// Set by lariat_tls_client_options_init.
    pub struct_size: u32,
    /// The oldest version: LARIAT_TLS_1_2 (default) or LARIAT_TLS_1_3.
    pub minimum_version: i32,
    /// The file with the certificates of those who may have issued the server's, as PEM; NULL: in memory.
    pub ca_file: *const c_char,
    /// The same in memory, ca_len bytes; NULL, as is ca_file: those that the system trusts (default).
    pub ca: *const u8,
    /// Bytes of ca.
    pub ca_len: usize,
    /// The name, or IP address, that the server's certificate must be for, and which it is asked for; NULL: the one that
    /// is connected to (default).
    pub server_name: *const c_char,
    /// Protocols that are spoken above TLS, the most wanted first: "h2,http/1.1". NULL: nothing is said of it (default).
    pub alpn: *const c_char,
    /// SHA-256 sums of certificates or of public keys (SubjectPublicKeyInfo), with commas between them, in hexadecimal
    /// or as sha256/BASE64: the server's certificate must have one of them, beside all else. NULL: none (default).
    pub pins: *const c_char,
    /// What is shown to servers that ask for a certificate; NULL: none (default).
    pub identity: *const lariat_tls_identity,
    /// Seconds that a handshake may take: 0 or more, or INFINITY. Default 10.
    pub handshake_seconds: f64,
    /// A file to which the secrets of all connections are appended, as of lariat_tls_server_options.
    pub key_log_file: *const c_char,
    /// Sessions that are remembered, by which a later connection goes on without certificates; 0: none. Default 256.
    pub sessions: u32,
    /// 1: whoever answers is taken for the server, whatever certificate it shows, so that anybody on the way may read and
    /// change all; of pins, one must be the server's even so. Default 0.
    pub insecure_no_verification: i32,
}

// SAFETY: repr(C), begins with struct_size, and holds numbers and pointers.
unsafe impl Versioned for lariat_tls_client_options {
    const FIELDS: &'static [usize] = fields!(lariat_tls_client_options:
        struct_size minimum_version ca_file ca ca_len server_name alpn pins identity handshake_seconds key_log_file
        sessions insecure_no_verification);

    fn initial(struct_size: u32) -> Self {
        let text = std::ptr::null();
        Self {
            struct_size,
            minimum_version: LARIAT_TLS_1_2,
            ca_file: text,
            ca: std::ptr::null(),
            ca_len: 0,
            server_name: text,
            alpn: text,
            pins: text,
            identity: std::ptr::null(),
            handshake_seconds: convert::seconds(HANDSHAKE),
            key_log_file: text,
            sessions: tls::SESSIONS,
            insecure_no_verification: 0,
        }
    }
}

/// Fills an identity with nothing.
///
/// identity     written.
/// struct_size  sizeof(lariat_tls_identity).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_identity_init(identity: *mut lariat_tls_identity, struct_size: u32) -> lariat_status {
    guard::alone(|| structs::init("identity", identity, struct_size))
}

/// Fills the options of a TLS server with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_tls_server_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_server_options_init(
    options: *mut lariat_tls_server_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

/// Fills the options of a TLS client with the defaults.
///
/// options      written.
/// struct_size  sizeof(lariat_tls_client_options).
/// thread       any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_client_options_init(
    options: *mut lariat_tls_client_options,
    struct_size: u32,
) -> lariat_status {
    guard::alone(|| structs::init("options", options, struct_size))
}

/// PEM of a file, or of memory; None: neither is given.
fn pem<'call>(name: &str, file: *const c_char, (data, length): (*const u8, usize)) -> Result<Option<Pem<'call>>> {
    let bytes = convert::bytes(name, data, length)?;
    match (file.is_null(), bytes.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Ok(Some(Pem::of_memory(name, bytes))),
        (false, true) => Pem::of_file(convert::bytes_text(name, file)?).map(Some),
        (false, false) => Err(invalid(format_args!("{name} is given in a file and in memory"))),
    }
}

fn identity<'call>(name: &str, given: *const lariat_tls_identity) -> Result<Identity<'call>> {
    let read = structs::read(name, given)?;
    structs::check_tail(name, given)?;
    if read.reserved != 0 {
        return Err(invalid(format_args!("{name}.reserved is {}, not 0", read.reserved)));
    }
    let memory = (read.certificate, read.certificate_len);
    let Some(certificate) = pem(&format!("{name}.certificate"), read.certificate_file, memory)? else {
        return Err(invalid(format_args!("{name} has no certificate")));
    };
    let key = pem(&format!("{name}.private_key"), read.private_key_file, (read.private_key, read.private_key_len))?;
    Ok(Identity { private_key: key.unwrap_or_else(|| certificate.clone()), certificate })
}

fn version(number: i32) -> Result<Version> {
    let version = Version::of_number(number);
    version.ok_or_else(|| {
        invalid(format_args!("options.minimum_version is {number}, not LARIAT_TLS_1_2 or LARIAT_TLS_1_3"))
    })
}

fn common(alpn: *const c_char, minimum: i32, seconds: f64, key_log: *const c_char) -> Result<Common> {
    let protocols = convert::text("options.alpn", alpn)?.map(tls::protocols);
    let protocols = protocols.transpose().map_err(|why| invalid(format_args!("options.alpn: {why}")))?;
    let key_log = if key_log.is_null() { None } else { Some(convert::bytes_text("options.key_log_file", key_log)?) };
    Ok(Common {
        alpn: protocols.unwrap_or_default(),
        minimum: version(minimum)?,
        handshake: convert::wait("options.handshake_seconds", seconds)?,
        key_log: key_log.map(<[u8]>::to_vec),
    })
}

fn server(options: *const lariat_tls_server_options) -> Result<Server> {
    let read = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    let client_certificates = match read.client_certificates {
        LARIAT_CLIENT_CERTIFICATES_NONE => ClientCertificates::None,
        LARIAT_CLIENT_CERTIFICATES_OPTIONAL => ClientCertificates::Optional,
        LARIAT_CLIENT_CERTIFICATES_REQUIRED => ClientCertificates::Required,
        other => return Err(invalid(format_args!("options.client_certificates is {other}"))),
    };
    let no_tickets = !convert::switch("options.session_tickets", read.session_tickets)?;
    let common = common(read.alpn, read.minimum_version, read.handshake_seconds, read.key_log_file)?;
    let mut identities = Vec::new();
    for (index, given) in
        structs::each("options.identities", read.identities, read.identity_count)?.into_iter().enumerate()
    {
        identities.push(identity(&format!("options.identities[{index}]"), given)?);
    }
    let client_ca = pem("options.client_ca", read.client_ca_file, (read.client_ca, read.client_ca_len))?;
    Server::new(&ServerOptions { identities, client_certificates, client_ca, no_tickets, common })
}

fn client(options: *const lariat_tls_client_options) -> Result<Client> {
    if options.is_null() {
        let common = Common { handshake: Some(HANDSHAKE), ..Common::default() };
        return Client::new(&ClientOptions { common, ..ClientOptions::default() });
    }
    let read = structs::read("options", options)?;
    structs::check_tail("options", options)?;
    let common = common(read.alpn, read.minimum_version, read.handshake_seconds, read.key_log_file)?;
    let pins = convert::text("options.pins", read.pins)?.map(tls::pins).transpose();
    let insecure = convert::switch("options.insecure_no_verification", read.insecure_no_verification)?;
    let identity = if read.identity.is_null() { None } else { Some(identity("options.identity", read.identity)?) };
    Client::new(&ClientOptions {
        ca: pem("options.ca", read.ca_file, (read.ca, read.ca_len))?,
        server_name: convert::text("options.server_name", read.server_name)?.map(str::to_owned),
        pins: pins.map_err(|why| invalid(format_args!("options.pins: {why}")))?.unwrap_or_default(),
        insecure,
        identity,
        sessions: read.sessions,
        common,
    })
}

fn handle(configuration: Configuration) -> Result<SharedHandle<lariat_tls_configuration>> {
    Configuration::table().add(Arc::new(configuration)).map(SharedHandle::new)
}

/// Makes the configuration of TLS servers. Files are read now, and not again; for other certificates make another one:
/// see lariat_listener_set_tls.
///
/// options  copied, with all that it points to.
/// returns  a configuration for any reactor of any thread, to be freed by lariat_tls_configuration_free; NULL on failure.
/// errors   LARIAT_ERR_BAD_CERTIFICATE for what is no certificate or key, or where they do not belong together;
///          LARIAT_ERR_NOT_FOUND, LARIAT_ERR_PERMISSION_DENIED or LARIAT_ERR_OS for a file; the message names it.
/// thread   any.
/// Twisted  CertificateOptions.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_configuration_new_server(
    options: *const lariat_tls_server_options,
) -> *mut lariat_tls_configuration {
    guard::alone(|| handle(Configuration::Server(Arc::new(server(options)?))))
}

/// Makes the configuration of TLS clients. Files, and the certificates that the system trusts, are read now, and not
/// again. Sessions are remembered by it: connections made with one configuration go on with each other's.
///
/// options  copied, with all that it points to; may be NULL: the defaults.
/// returns  a configuration for any reactor of any thread, to be freed by lariat_tls_configuration_free; NULL on failure.
/// errors   as of lariat_tls_configuration_new_server; LARIAT_ERR_NOT_FOUND also when the system trusts nobody.
/// thread   any.
/// Twisted  optionsForClientTLS.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_configuration_new_client(
    options: *const lariat_tls_client_options,
) -> *mut lariat_tls_configuration {
    guard::alone(|| handle(Configuration::Client(Arc::new(client(options)?))))
}

/// Tells which side a configuration is for.
///
/// returns  1: a server; 0: a client; negative: an error.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_configuration_is_server(configuration: *const lariat_tls_configuration) -> i32 {
    guard::alone(|| Ok(matches!(*self::configuration(configuration)?, Configuration::Server(_))))
}

/// Frees a configuration: its handle is stale from here on. Listeners and connections that use it go on.
///
/// thread  any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_configuration_free(configuration: *mut lariat_tls_configuration) -> lariat_status {
    guard::alone(|| Configuration::table().remove(Word::new(configuration)))
}

/// Tells how many TLS configurations are alive in the process.
///
/// returns  0 or more.
/// thread   any.
#[unsafe(no_mangle)]
pub extern "C" fn lariat_tls_configurations_alive() -> i64 {
    guard::alone(|| Ok(Configuration::table().alive() as i64))
}

/// What a handle of C names.
pub(super) fn configuration(handle: *const lariat_tls_configuration) -> Result<Arc<Configuration>> {
    Configuration::table().get(Word::new(handle))
}
