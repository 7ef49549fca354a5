//! The secrets of connections in a file, by which tools such as Wireshark can read along: the format of SSLKEYLOGFILE.

use crate::net::error;
use crate::platform::path_of;
use crate::status::{Result, Status};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// See the module.
pub struct KeyLog(Mutex<File>);

impl KeyLog {
    /// Appends to a file, which is made if it is not there: on Unix for nobody else to read.
    pub fn open(path: &[u8]) -> Result<Arc<dyn rustls::KeyLog>> {
        let name = String::from_utf8_lossy(path);
        let place = path_of(path);
        let place = place.ok_or_else(|| Status::ERR_INVALID_ARGUMENT.because(format_args!("{name} is no path")))?;
        let mut how = OpenOptions::new();
        how.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut how, 0o600);
        let file = how.open(place).map_err(|why| error::refused(format_args!("key log {name}"), &why))?;
        Ok(Arc::new(KeyLog(Mutex::new(file))))
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        let hexadecimal = |line: &mut String, bytes: &[u8]| {
            bytes.iter().for_each(|byte| line.push_str(&format!("{byte:02x}")));
        };
        hexadecimal(&mut line, client_random);
        line.push(' ');
        hexadecimal(&mut line, secret);
        line.push('\n');
        if let Ok(mut file) = self.0.lock() {
            // A log that cannot be written is no reason to end the connection.
            let _ = file.write_all(line.as_bytes());
        }
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyLog")
    }
}
