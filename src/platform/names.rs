//! Names, looked up by the system; this blocks.

use std::net::SocketAddr;

/// Why a name has no addresses.
#[derive(Clone, Debug)]
pub struct NameError {
    /// There are none; else it could not be found out.
    pub not_found: bool,
    /// The system's error; 0 none.
    pub os_error: i32,
    /// In words.
    pub text: String,
}

/// The addresses that a name leads to, with port 0, in the order in which they are best tried; of both families, or only
/// of IPv6 (true) or IPv4 (false).
#[cfg(unix)]
pub fn look_up(name: &str, v6: Option<bool>) -> Result<Vec<SocketAddr>, NameError> {
    let error = |not_found, text: &str| NameError { not_found, os_error: 0, text: text.into() };
    let text = std::ffi::CString::new(name).map_err(|_| error(true, "a name has no zero byte"))?;
    let hints = hints(name, v6);
    let mut list = std::ptr::null_mut();
    // SAFETY: the name ends with NUL, the hints are filled in, and both live for the call, which writes the list.
    let code = unsafe { libc::getaddrinfo(text.as_ptr(), std::ptr::null(), &hints, &mut list) };
    if code != 0 {
        return Err(name_error(code));
    }
    let list = List(list);
    let addresses: Vec<SocketAddr> = list.addresses().collect();
    if addresses.is_empty() { Err(error(true, "the name has no address")) } else { Ok(addresses) }
}

/// Each address once. Whether this host could reach it is found out by trying, as in Twisted: AI_ADDRCONFIG would keep
/// `::1` from a host whose only IPv6 address that is.
#[cfg(unix)]
fn hints(name: &str, v6: Option<bool>) -> libc::addrinfo {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    let flags = {
        const AI_IDN: libc::c_int = 0x40;
        if name.is_ascii() { 0 } else { AI_IDN }
    };
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let flags = {
        let _ = name;
        0
    };
    // SAFETY: an addrinfo is numbers and pointers, for which zero is valid.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = flags;
    hints.ai_family = match v6 {
        None => libc::AF_UNSPEC,
        Some(true) => libc::AF_INET6,
        Some(false) => libc::AF_INET,
    };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints
}

#[cfg(unix)]
fn name_error(code: libc::c_int) -> NameError {
    if code == libc::EAI_SYSTEM {
        let error = std::io::Error::last_os_error();
        return NameError { not_found: false, os_error: error.raw_os_error().unwrap_or(0), text: error.to_string() };
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let no_data = code == libc::EAI_NODATA;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let no_data = false;
    // SAFETY: gai_strerror gives static text for any number.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::gai_strerror(code)) };
    let text = text.to_string_lossy().into_owned();
    NameError { not_found: code == libc::EAI_NONAME || no_data, os_error: 0, text }
}

/// What getaddrinfo has made.
#[cfg(unix)]
struct List(*mut libc::addrinfo);

#[cfg(unix)]
impl List {
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut next = self.0;
        std::iter::from_fn(move || {
            while !next.is_null() {
                // SAFETY: the entries of the list live until it is freed, which is when `self` is dropped.
                let entry = unsafe { &*next };
                next = entry.ai_next;
                if let Some(address) = address_of(entry) {
                    return Some(address);
                }
            }
            None
        })
    }
}

#[cfg(unix)]
impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list is getaddrinfo's and was not freed yet.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

#[cfg(unix)]
fn address_of(entry: &libc::addrinfo) -> Option<SocketAddr> {
    let length = entry.ai_addrlen as usize;
    if entry.ai_addr.is_null() || length > size_of::<libc::sockaddr_storage>() {
        return None;
    }
    // SAFETY: an entry has an address of that length, which fits, and any bytes are a storage; the length that is set is
    // the one that was copied.
    let ((), address) = unsafe {
        socket2::SockAddr::try_init(|storage, size| {
            std::ptr::copy_nonoverlapping(entry.ai_addr.cast::<u8>(), storage.cast::<u8>(), length);
            *size = length as libc::socklen_t;
            Ok(())
        })
    }
    .ok()?;
    address.as_socket()
}

/// The addresses that a name leads to, with port 0, in the order in which they are best tried; of both families, or only
/// of IPv6 (true) or IPv4 (false).
#[cfg(windows)]
pub fn look_up(name: &str, v6: Option<bool>) -> Result<Vec<SocketAddr>, NameError> {
    use std::net::ToSocketAddrs;
    const HOST_NOT_FOUND: i32 = 11001;
    const NO_DATA: i32 = 11004;
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        let os_error = error.raw_os_error().unwrap_or(0);
        NameError { not_found: matches!(os_error, HOST_NOT_FOUND | NO_DATA), os_error, text: error.to_string() }
    });
    let fits = |address: &SocketAddr| v6.is_none_or(|v6| v6 == address.is_ipv6());
    let addresses: Vec<SocketAddr> = found?.filter(fits).collect();
    let none = || NameError { not_found: true, os_error: 0, text: "the name has no address".into() };
    if addresses.is_empty() { Err(none()) } else { Ok(addresses) }
}
