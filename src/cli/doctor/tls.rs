//! TLS of the listener: whether its files can be used, and for how long.

use chrono::TimeDelta;

use super::{Findings, files};
use crate::app::Parts;
use crate::config::Settings;
use crate::tls::Tls;

/// When the end of a certificate is near enough to be told.
const SOON: TimeDelta = TimeDelta::days(30);

/// Looks at certificate, key and authorities, if there are any.
pub(super) fn look(found: &mut Findings, settings: &Settings) {
    let about = "tls";
    let Some(tls) = &settings.tls else { return };
    let certificate = match Tls::read(tls) {
        Ok((_, certificate)) => certificate,
        Err(error) => return found.error(about, &error),
    };
    files::directory(found, about, &tls.key_file);
    let what = format!("the certificate in {}: {certificate}", tls.cert_file.display());
    let left = certificate.not_after - Parts::default().clock.now();
    let mend = "put a new certificate and its key into the files and send the server SIGHUP";
    if left < TimeDelta::zero() {
        found.wrong(about, format!("{what}, which is over"), mend);
    } else if left < SOON {
        found.risk(about, format!("{what}, in {} day(s)", left.num_days()), mend);
    } else {
        found.ok(about, what);
    }
}
