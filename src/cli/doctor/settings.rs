//! Settings that work and are risky.

use super::Findings;
use crate::config::Settings;

/// The least bits of an RSA modulus that nobody can factor.
const SOUND_RSA_BITS: u32 = 2048;

/// Looks at them all.
pub(super) fn look(found: &mut Findings, settings: &Settings, unknown: &[String]) {
    let about = "settings";
    if !settings.listen.ip().is_loopback() && settings.tls.is_none() {
        found.risk(
            about,
            format!(
                "listen = \"{}\": other machines get there, and what they send is plain HTTP",
                settings.listen
            ),
            "set tls.cert_file and tls.key_file, or listen on 127.0.0.1, behind a proxy that speaks TLS",
        );
    }
    if settings.outbound.allow_http {
        found.risk(
            about,
            "outbound.allow_http = true: hooks may send secrets and bodies over plain HTTP",
            "set outbound.allow_http = false",
        );
    }
    if !settings.outbound.allow.is_empty() {
        let ranges: Vec<_> = settings.outbound.allow.iter().map(ToString::to_string).collect();
        found.risk(
            about,
            format!("outbound.allow: hooks of every org may call {}", ranges.join(", ")),
            "take out of outbound.allow what no hook needs",
        );
    }
    if settings.min_rsa_bits < SOUND_RSA_BITS {
        found.risk(
            about,
            format!("keys.min_rsa_bits = {}: RSA keys that can be factored are taken", settings.min_rsa_bits),
            "set keys.min_rsa_bits = 2048",
        );
    }
    for name in unknown {
        found.risk(about, format!("{name} looks like a setting but is none"), format!("unset {name}"));
    }
}
