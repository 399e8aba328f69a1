//! The files of TLS: PEM, and a private key that is nobody else's.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// More than any key has; a larger file is some other one.
const LARGEST_KEY: u64 = 64 * 1024;

/// All certificates of a file, of which there must be one.
pub(super) fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(setting, path, &"it holds no certificate in PEM form")),
        Err(error) => Err(unusable(setting, path, &error)),
    }
}

/// The private key of a file that nobody but its owner may read. One that belongs to root may be readable for its
/// group too: that is how a key is handed to a service that is not root.
pub(super) fn private_key(setting: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    let unreadable = |error: std::io::Error| unusable(setting, path, &error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let own = rustix::process::geteuid().as_raw();
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let others = if owner == 0 && own != 0 { 0o037 } else { 0o077 };
    if mode & others != 0 {
        let shown = path.display();
        return Err(Error::setup(format!(
            "{setting}: {shown} has mode {mode:04o}, so others than its owner may read it: run `chmod 600 {shown}`"
        )));
    }
    if owner != own && owner != 0 && own != 0 {
        return Err(unusable(
            setting,
            path,
            &format!("it belongs to another user (uid {owner}): run `chown {own} {}`", path.display()),
        ));
    }
    let mut pem = Zeroizing::new(Vec::new());
    file.take(LARGEST_KEY).read_to_end(&mut pem).map_err(unreadable)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        unusable(
            setting,
            path,
            &"it holds no private key in PEM form: PKCS#8, PKCS#1 or SEC1, and not encrypted",
        )
    })
}

/// The error of a file that is of no use, and why.
pub(super) fn unusable(setting: &str, path: &Path, problem: &dyn fmt::Display) -> Error {
    Error::setup(format!("{setting}: {} cannot be used: {problem}", path.display()))
}
