//! What the log and `doctor` tell of a certificate.

use std::fmt::{self, Write as _};

use chrono::SecondsFormat;
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use crate::domain::Timestamp;

/// A certificate as far as it is told to operators.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The serial number, in hexadecimal digits.
    pub serial: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Reads one of DER. The error says what is wrong with it.
    pub(super) fn of(der: &[u8]) -> Result<Self, String> {
        let malformed = |_| "it holds no X.509 certificate".to_owned();
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let certificate = x509_cert::Certificate::decode(&mut reader).map_err(malformed)?;
        reader.finish(()).map_err(malformed)?;
        let certificate = certificate.tbs_certificate;
        let ends = certificate.validity.not_after.to_unix_duration().as_secs();
        let not_after = i64::try_from(ends).ok().and_then(|ends| Timestamp::from_timestamp(ends, 0));
        let mut serial = String::new();
        for byte in certificate.serial_number.as_bytes() {
            write!(serial, "{byte:02x}").map_err(|_| "its serial number is no number".to_owned())?;
        }
        Ok(Self { serial, not_after: not_after.ok_or_else(|| "its end is no date".to_owned())? })
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = self.not_after.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "serial number {}, until {ends}", self.serial)
    }
}
