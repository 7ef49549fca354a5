//! Configurations: what a server shows and a client trusts. Immutable, and shared by all connections that were made with
//! one, on whatever thread.

use super::identities::Identities;
use super::key_log::KeyLog;
use super::pem::Pem;
use super::roots;
use super::verifier::Verifier;
use crate::handles::{Kind, Shared, SharedBody};
use crate::reactor::timers::SECOND;
use crate::status::{Result, Status};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ProtocolVersion, ServerConfig, SupportedProtocolVersion, version};
use std::sync::Arc;

/// What a handshake may take, unless said otherwise.
pub const HANDSHAKE: u64 = 10 * SECOND;
/// Sessions that a client remembers, unless said otherwise.
pub const SESSIONS: u32 = 256;

/// The oldest version that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    #[default]
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl Version {
    /// As it is on the wire.
    pub fn number(version: ProtocolVersion) -> i32 {
        i32::from(u16::from(version))
    }

    /// The one with this number on the wire.
    pub fn of_number(number: i32) -> Option<Self> {
        match number {
            0x0303 => Some(Version::Tls12),
            0x0304 => Some(Version::Tls13),
            _ => None,
        }
    }

    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        match self {
            Version::Tls12 => &ALL,
            Version::Tls13 => &ALL[..1],
        }
    }
}

/// Whether a server wants certificates of its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientCertificates {
    /// It does not ask.
    #[default]
    None,
    /// Who has none is let in; who has a bad one is not.
    Optional,
    /// Who has none is not let in.
    Required,
}

/// A certificate, with those that lead from it to a root, and its key.
#[derive(Clone)]
pub struct Identity<'a> {
    /// The certificate first, then those that issued it.
    pub certificate: Pem<'a>,
    /// Its key.
    pub private_key: Pem<'a>,
}

/// What both sides are told.
#[derive(Clone, Default)]
pub struct Common {
    /// What is spoken above, most wanted first.
    pub alpn: Vec<Vec<u8>>,
    /// Nothing older is spoken.
    pub minimum: Version,
    /// What a handshake may take, in nanoseconds.
    pub handshake: Option<u64>,
    /// The file that the secrets of all connections are appended to.
    pub key_log: Option<Vec<u8>>,
}

/// What a server is made of.
#[derive(Default)]
pub struct ServerOptions<'a> {
    /// One at least; the first is for those who ask for no name, or one that none has.
    pub identities: Vec<Identity<'a>>,
    /// Whether clients are asked for certificates.
    pub client_certificates: ClientCertificates,
    /// Who may have issued them.
    pub client_ca: Option<Pem<'a>>,
    /// Clients are not given tickets to resume their sessions with.
    pub no_tickets: bool,
    /// And the rest.
    pub common: Common,
}

/// What a client is made of.
pub struct ClientOptions<'a> {
    /// Who may have issued the server's certificate; None: those that the system trusts.
    pub ca: Option<Pem<'a>>,
    /// The name that the server's certificate must have; None: the one that is connected to.
    pub server_name: Option<String>,
    /// SHA-256 of certificates, or of public keys: the server must have one of them.
    pub pins: Vec<[u8; 32]>,
    /// The server's certificate is not looked at, but for pins.
    pub insecure: bool,
    /// What is shown to servers that ask for it.
    pub identity: Option<Identity<'a>>,
    /// Sessions that are remembered, to be resumed.
    pub sessions: u32,
    /// And the rest.
    pub common: Common,
}

impl Default for ClientOptions<'_> {
    fn default() -> Self {
        Self {
            ca: None,
            server_name: None,
            pins: Vec::new(),
            insecure: false,
            identity: None,
            sessions: SESSIONS,
            common: Common::default(),
        }
    }
}

/// What a server's connections share.
pub struct Server {
    pub(super) rustls: Arc<ServerConfig>,
    pub(super) handshake: Option<u64>,
}

/// What a client's connections share.
pub struct Client {
    pub(super) rustls: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) handshake: Option<u64>,
}

/// See the module.
#[derive(Clone)]
pub enum Configuration {
    /// Of the side that is connected to.
    Server(Arc<Server>),
    /// Of the side that connects.
    Client(Arc<Client>),
}

static CONFIGURATIONS: Shared<Configuration> = Shared::new();

impl SharedBody for Configuration {
    const KIND: Kind = Kind::TlsConfiguration;

    fn table() -> &'static Shared<Self> {
        &CONFIGURATIONS
    }
}

impl Configuration {
    /// The server's; else a refusal.
    pub fn server(&self) -> Result<Arc<Server>> {
        match self {
            Configuration::Server(server) => Ok(Arc::clone(server)),
            Configuration::Client(_) => {
                Err(Status::ERR_INVALID_ARGUMENT.because("the TLS configuration is a client's, a server's is needed"))
            }
        }
    }

    /// The client's; else a refusal.
    pub fn client(&self) -> Result<Arc<Client>> {
        match self {
            Configuration::Client(client) => Ok(Arc::clone(client)),
            Configuration::Server(_) => {
                Err(Status::ERR_INVALID_ARGUMENT.because("the TLS configuration is a server's, a client's is needed"))
            }
        }
    }
}

/// The cryptography that all of them use.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

/// Something that rustls does not accept in a configuration.
fn refused(why: rustls::Error) -> Status {
    Status::ERR_BAD_CERTIFICATE.because(format_args!("TLS configuration: {why}"))
}

impl Server {
    /// A server that is as the options say.
    pub fn new(options: &ServerOptions) -> Result<Server> {
        let identities = Identities::new(&options.identities)?;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(options.common.minimum.and_newer()).map_err(refused)?;
        let builder = builder.with_client_cert_verifier(client_verifier(options)?);
        let mut server = builder.with_cert_resolver(Arc::new(identities));
        server.alpn_protocols = options.common.alpn.clone();
        if options.no_tickets {
            server.send_tls13_tickets = 0;
            server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        } else {
            server.ticketer = ring::Ticketer::new().map_err(refused)?;
        }
        if let Some(path) = &options.common.key_log {
            server.key_log = KeyLog::open(path)?;
        }
        Ok(Server { rustls: Arc::new(server), handshake: options.common.handshake })
    }

    /// The same, with these protocols offered by ALPN if it offers none itself. Sessions and tickets are those of both.
    pub fn offering(self: Arc<Self>, protocols: &[&[u8]]) -> Arc<Self> {
        if protocols.is_empty() || !self.rustls.alpn_protocols.is_empty() {
            return self;
        }
        let mut rustls = ServerConfig::clone(&self.rustls);
        rustls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(Self { rustls: Arc::new(rustls), handshake: self.handshake })
    }
}

fn client_verifier(options: &ServerOptions) -> Result<Arc<dyn ClientCertVerifier>> {
    if options.client_certificates == ClientCertificates::None {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let Some(ca) = &options.client_ca else {
        let why = "clients are asked for certificates, but there is no client_ca to verify them with";
        return Err(Status::ERR_INVALID_ARGUMENT.because(why));
    };
    let builder = WebPkiClientVerifier::builder_with_provider(roots::given(ca)?, provider());
    let optional = options.client_certificates == ClientCertificates::Optional;
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|why| ca.bad(why))
}

impl Client {
    /// A client that is as the options say.
    pub fn new(options: &ClientOptions) -> Result<Client> {
        let server_name = options.server_name.as_deref().map(server_name).transpose()?;
        let roots = match &options.ca {
            _ if options.insecure => None,
            Some(ca) => Some(roots::given(ca)?),
            None => Some(roots::of_system()?),
        };
        let verifier = Verifier::new(roots, options.pins.clone())?;
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(options.common.minimum.and_newer()).map_err(refused)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut client = match &options.identity {
            Some(identity) => {
                let one = Identities::new(std::slice::from_ref(identity))?;
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(one.first())))
            }
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = options.common.alpn.clone();
        client.resumption = match options.sessions {
            0 => rustls::client::Resumption::disabled(),
            sessions => rustls::client::Resumption::in_memory_sessions(sessions as usize),
        };
        if let Some(path) = &options.common.key_log {
            client.key_log = KeyLog::open(path)?;
        }
        Ok(Client { rustls: Arc::new(client), server_name, handshake: options.common.handshake })
    }

    /// The one for those who say nothing: it trusts whom the system trusts.
    pub fn usual() -> Result<Arc<Client>> {
        static USUAL: std::sync::Mutex<Option<Arc<Client>>> = std::sync::Mutex::new(None);
        let mut usual = USUAL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = &*usual {
            return Ok(Arc::clone(client));
        }
        let common = Common { handshake: Some(HANDSHAKE), ..Common::default() };
        let client = Arc::new(Client::new(&ClientOptions { common, ..ClientOptions::default() })?);
        *usual = Some(Arc::clone(&client));
        Ok(client)
    }
}

/// A name that a certificate can have: of a host, or an IP address.
pub fn server_name(name: &str) -> Result<ServerName<'static>> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let bare = bare.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')).unwrap_or(bare);
    // A zone is this host's own affair.
    let bare = if bare.contains(':') { bare.split('%').next().unwrap_or(bare) } else { bare };
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        Status::ERR_INVALID_ARGUMENT
            .because(format_args!("{name:?} is no name of a server that a certificate can have"))
    })
}
