//! What an endpoint says behind the `?`.

use super::{Form, Parsed, Part, Purpose, TlsOptions, bad};
use crate::driver::sockets::{KeepAlive, SocketOption};
use crate::driver::{Address, Family};
use std::time::Duration;

/// Thirty seconds, as Twisted's clients wait.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a thing is opened; what was not said is as the library or the system has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Connections that may wait to be accepted.
    pub backlog: Option<i32>,
    /// Several sockets share the port.
    pub reuse_port: bool,
    /// The address may be one that others use, too: for multicast, or, of what connects, one that was used just now,
    /// which it may unless this forbids it.
    pub reuse_address: Option<bool>,
    /// Whether an IPv6 socket does without IPv4.
    pub only_v6: Option<bool>,
    /// The permissions of a Unix socket's file.
    pub mode: Option<u32>,
    /// The own address of what connects.
    pub bind: Option<Address>,
    /// What connecting, the look-up of its name included, may take; None: as long as it takes.
    pub timeout: Option<Duration>,
    /// What is written is sent at once.
    pub no_delay: bool,
    /// The silence after which a peer is looked after; zero: never.
    pub keep_alive: Option<Duration>,
    /// Datagrams of one peer are received many at once.
    pub segments: bool,
    /// Datagrams may go to broadcast addresses.
    pub broadcast: bool,
    /// The system's buffer for what is received, in bytes.
    pub receive_buffer: Option<usize>,
    /// The system's buffer for what is sent, in bytes.
    pub send_buffer: Option<usize>,
    /// The type of service, or traffic class.
    pub type_of_service: Option<u32>,
    /// The hops that what is sent may take.
    pub time_to_live: Option<u32>,
    /// What TLS is told; None: there is none.
    pub tls: Option<Box<TlsOptions>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backlog: None,
            reuse_port: false,
            reuse_address: None,
            only_v6: None,
            mode: None,
            bind: None,
            timeout: Some(TIMEOUT),
            no_delay: true,
            keep_alive: None,
            segments: false,
            broadcast: false,
            receive_buffer: None,
            send_buffer: None,
            type_of_service: None,
            time_to_live: None,
            tls: None,
        }
    }
}

/// Which endpoints have an option: a bit for each purpose of each form.
const fn of(form: Form, purpose: Purpose) -> u32 {
    let column = match form {
        Form::Ip(_) => 0,
        Form::Path => 1,
        Form::Abstract => 2,
        Form::Inherited => 3,
        Form::Tls(_) => 4,
    };
    1 << (column * 3 + purpose as u32)
}

const IP: Form = Form::Ip(None);
const TLS_LISTEN: u32 = of(Form::Tls(None), Purpose::Listen);
const TLS_CONNECT: u32 = of(Form::Tls(None), Purpose::Connect);
const TLS: u32 = TLS_LISTEN | TLS_CONNECT;
const IP_LISTEN: u32 = of(IP, Purpose::Listen) | TLS_LISTEN;
const IP_CONNECT: u32 = of(IP, Purpose::Connect) | TLS_CONNECT;
const IP_DATAGRAMS: u32 = of(IP, Purpose::Datagrams);
const LISTEN: u32 = IP_LISTEN | of(Form::Path, Purpose::Listen) | of(Form::Abstract, Purpose::Listen);
const CONNECT: u32 = IP_CONNECT | of(Form::Path, Purpose::Connect) | of(Form::Abstract, Purpose::Connect);
const TCP: u32 = IP_LISTEN | IP_CONNECT;
const FILE: u32 = of(Form::Path, Purpose::Listen) | of(Form::Path, Purpose::Datagrams);
/// What is inherited was set up by whoever opened it.
const ALL: u32 = !(of(Form::Inherited, Purpose::Listen) | of(Form::Inherited, Purpose::Datagrams));

const OPTIONS: [(&str, u32); 27] = [
    ("alpn", TLS),
    ("backlog", LISTEN),
    ("bind", IP_CONNECT),
    ("broadcast", IP_DATAGRAMS),
    ("ca", TLS_CONNECT),
    ("certificate", TLS),
    ("client_ca", TLS_LISTEN),
    ("client_certificates", TLS_LISTEN),
    ("gro", IP_DATAGRAMS),
    ("handshake_timeout", TLS),
    ("insecure_no_verification", TLS_CONNECT),
    ("keep_alive", TCP),
    ("key_log", TLS),
    ("minimum_version", TLS),
    ("mode", FILE),
    ("no_delay", TCP),
    ("only_v6", IP_LISTEN | IP_DATAGRAMS),
    ("pin", TLS_CONNECT),
    ("private_key", TLS),
    ("receive_buffer", ALL),
    ("reuse_address", IP_CONNECT | IP_DATAGRAMS),
    ("reuse_port", IP_LISTEN | IP_CONNECT | IP_DATAGRAMS),
    ("send_buffer", ALL),
    ("server_name", TLS_CONNECT),
    ("time_to_live", TCP | IP_DATAGRAMS),
    ("timeout", CONNECT),
    ("type_of_service", TCP | IP_DATAGRAMS),
];

impl Options {
    fn set(&mut self, name: &str, value: Part) -> Parsed<()> {
        match name {
            "backlog" => self.backlog = Some(value.number(1, i32::MAX as u64)? as i32),
            "bind" => self.bind = Some(value.own_address()?),
            "broadcast" => self.broadcast = value.switch()?,
            "gro" => self.segments = value.switch()?,
            "keep_alive" => self.keep_alive = Some(value.seconds()?),
            "mode" => self.mode = Some(value.octal()?),
            "no_delay" => self.no_delay = value.switch()?,
            "only_v6" => self.only_v6 = Some(value.switch()?),
            "receive_buffer" => self.receive_buffer = Some(value.size()?),
            "reuse_address" => self.reuse_address = Some(value.switch()?),
            "reuse_port" => self.reuse_port = value.switch()?,
            "send_buffer" => self.send_buffer = Some(value.size()?),
            "time_to_live" => self.time_to_live = Some(value.number(1, 255)? as u32),
            "timeout" => self.timeout = Some(value.seconds()?).filter(|seconds| !seconds.is_zero()),
            "type_of_service" => self.type_of_service = Some(value.number(0, 255)? as u32),
            _ => return self.tls.get_or_insert_default().set(name, value),
        }
        Ok(())
    }
}

impl Options {
    /// What a stream's socket is told, or a listener's whose connections inherit it; `is_ip`: it is none of a Unix
    /// socket's.
    pub fn of_stream(&self, is_ip: bool) -> impl Iterator<Item = SocketOption> {
        let of_ip = [
            self.no_delay.then_some(SocketOption::NoDelay(true)),
            self.keep_alive.map(|idle| SocketOption::KeepAlive(keep_alive(idle))),
            self.type_of_service.map(SocketOption::TypeOfService),
            self.time_to_live.map(SocketOption::TimeToLive),
        ];
        let of_any =
            [self.receive_buffer.map(SocketOption::ReceiveBuffer), self.send_buffer.map(SocketOption::SendBuffer)];
        of_ip.into_iter().filter(move |_| is_ip).chain(of_any).flatten()
    }
}

fn keep_alive(idle: Duration) -> Option<KeepAlive> {
    // The systems count whole seconds.
    let idle = Duration::from_secs(idle.as_secs_f64().ceil() as u64);
    (!idle.is_zero()).then_some(KeepAlive { idle, interval: None, count: 0 })
}

/// Reads them; None: there is no `?`. What is bound to must be of the family of the place, if that has one.
pub(super) fn read(part: Option<Part>, form: Form, purpose: Purpose, family: Option<Family>) -> Parsed<Options> {
    let mut options = Options::default();
    if matches!(form, Form::Tls(_)) {
        options.tls = Some(Box::default());
    }
    let mut seen = 0_u32;
    let mut rest = part;
    while let Some(part) = rest {
        let one;
        (one, rest) = match part.split_at_first(b"&") {
            Some((one, rest)) => (one, Some(rest)),
            None => (part, None),
        };
        let Some((key, value)) = one.split_at_first(b"=") else {
            return bad(one.at(), format!("{:?} is not key=value", one.lossy()));
        };
        let Some(place) = OPTIONS.iter().position(|(name, _)| name.as_bytes() == key.bytes()) else {
            return bad(key.at(), format!("there is no option {:?}", key.lossy()));
        };
        let (name, uses) = OPTIONS[place];
        if uses & of(form, purpose) == 0 {
            return bad(key.at(), format!("{name} is no option of {}", what(form, purpose)));
        }
        if seen & 1 << place != 0 {
            return bad(key.at(), format!("{name} is set twice"));
        }
        seen |= 1 << place;
        options.set(name, value)?;
        let bound = options.bind.filter(|_| name == "bind").map(|bind| bind.family());
        if bound.is_some_and(|bound| family.is_some_and(|family| family != bound)) {
            return bad(value.at(), "the address is of the other family");
        }
    }
    Ok(options)
}

fn what(form: Form, purpose: Purpose) -> &'static str {
    match (form, purpose) {
        (Form::Tls(_), Purpose::Listen) => "a listener with TLS",
        (Form::Tls(_), _) => "a client with TLS",
        (Form::Ip(_), Purpose::Listen) => "a TCP listener",
        (Form::Ip(_), Purpose::Connect) => "a TCP client",
        (Form::Ip(_), Purpose::Datagrams) => "a UDP port",
        (Form::Inherited, _) => "an inherited socket",
        (_, Purpose::Listen) => "a listener on a Unix socket",
        (_, Purpose::Connect) => "a client of a Unix socket",
        (_, Purpose::Datagrams) => "a Unix socket of datagrams",
    }
}

impl Part<'_> {
    /// 0 or 1.
    pub(super) fn switch(self) -> Parsed<bool> {
        match self.bytes() {
            b"0" => Ok(false),
            b"1" => Ok(true),
            _ => bad(self.at(), format!("{:?} is neither 0 nor 1", self.lossy())),
        }
    }

    fn digits(self, radix: u32, limits: (u64, u64)) -> Option<u64> {
        let text = self.text().ok().filter(|text| text.chars().all(|digit| digit.is_digit(radix)))?;
        u64::from_str_radix(text, radix).ok().filter(|number| (limits.0..=limits.1).contains(number))
    }

    fn number(self, least: u64, most: u64) -> Parsed<u64> {
        let why = || format!("{:?} is not a number from {least} to {most}", self.lossy());
        self.digits(10, (least, most)).map_or_else(|| bad(self.at(), why()), Ok)
    }

    fn size(self) -> Parsed<usize> {
        self.number(1, i32::MAX as u64).map(|size| size as usize)
    }

    fn octal(self) -> Parsed<u32> {
        let why = || format!("{:?} is not a mode in octal, 0 to 777", self.lossy());
        self.digits(8, (0, 0o777)).map_or_else(|| bad(self.at(), why()), |mode| Ok(mode as u32))
    }

    pub(super) fn seconds(self) -> Parsed<Duration> {
        let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds = self.text().ok().filter(plain).and_then(|text| text.parse::<f64>().ok());
        match seconds.filter(|seconds| (0.0..=1e9).contains(seconds)) {
            Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
            None => bad(self.at(), format!("{:?} is not a number of seconds, 0 to 1e9", self.lossy())),
        }
    }
}
