//! The master key: the one secret that lives outside the database.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::aead::SECRET_LEN;
use crate::domain::Entropy;
use crate::error::{Error, Result};

/// More than any well-formed file holds; a larger one is some other file.
const FILE_LIMIT: usize = 256;

/// Where systemd puts the credentials of a service, in a directory that only the user of the service may enter
/// (systemd.exec(5), `LoadCredential`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Permission bits of others than the owner.
const OTHERS: u32 = 0o077;

/// How an access list that lets a single user read shows in the bits of a mode.
const ONE_READER: u32 = 0o040;

/// 32 random bytes that wrap the keyring.
pub struct MasterKey(Zeroizing<[u8; SECRET_LEN]>);

impl MasterKey {
    /// Draws a new master key.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        let mut bytes = Zeroizing::new([0; SECRET_LEN]);
        entropy.fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the text form, base64 of 32 bytes, as `openssl rand -base64 32` prints it. `source` names the
    /// place for the error, which never repeats the text.
    pub fn parse(text: &str, source: &str) -> Result<Self> {
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
        decoded.and_then(|bytes| secret(&bytes)).map(Self).ok_or_else(|| {
            Error::setup(format!(
                "{source} does not hold a master key: it must be the base64 form of exactly 32 bytes, \
                 as `openssl rand -base64 32` prints it"
            ))
        })
    }

    /// Reads a master key file that nobody but its owner may read. Credentials of systemd may be root's, and this process
    /// be let in by an access list, which looks like a group that may read.
    pub fn read_file(path: &Path) -> Result<Self> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            Error::setup(format!("the master key file {shown} cannot be read: {error}"))
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = metadata.permissions().mode() & 0o777;
        let credential = is_credential(path);
        let tolerated = if credential { ONE_READER } else { 0 };
        if mode & OTHERS & !tolerated != 0 {
            return Err(Error::setup(format!(
                "the master key file {shown} has mode {mode:04o}, so others than its owner may read it: \
                 run `chmod 600 {shown}`"
            )));
        }
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != own && own != 0 && !(credential && metadata.uid() == 0) {
            return Err(Error::setup(format!(
                "the master key file {shown} belongs to another user (uid {}): run `chown {own} {shown}`",
                metadata.uid()
            )));
        }
        let mut text = Zeroizing::new(String::with_capacity(FILE_LIMIT));
        file.take(FILE_LIMIT as u64).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, &format!("the master key file {shown}"))
    }

    /// The text form, for the file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }

    pub(super) fn secret(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }
}

/// Whether a file lies in the directory that systemd has made for the credentials of this process.
fn is_credential(path: &Path) -> bool {
    let directory = std::env::var_os(CREDENTIALS);
    directory.is_some_and(|directory| path.parent() == Some(Path::new(&directory)))
}

/// A secret of the right length, copied straight to where it will be overwritten.
pub(super) fn secret(bytes: &[u8]) -> Option<Zeroizing<[u8; SECRET_LEN]>> {
    let mut secret = Zeroizing::new([0; SECRET_LEN]);
    (bytes.len() == SECRET_LEN).then(|| secret.copy_from_slice(bytes))?;
    Some(secret)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}
