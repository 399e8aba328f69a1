//! Numbers and octets in text: base64url (RFC 4648 §5), as JWKs have them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::crypto::key::Flaw;

/// Takes padding or leaves it. Bits behind the last octet must be 0, so that one value has one spelling.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the value of the JWK member `member`.
pub(super) fn decode(member: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    if text.is_empty() {
        return Err(Flaw::of(member, "is empty"));
    }
    match TOLERANT.decode(text) {
        Ok(octets) => Ok(Zeroizing::new(octets)),
        Err(error) => Err(Flaw::of(member, why(&error))),
    }
}

/// Appends `octets` to `out`, without padding (RFC 7515 §2).
pub(super) fn encode_into(out: &mut String, octets: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(octets, out);
}

fn why(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::InvalidByte(_, b'+' | b'/') => {
            "has + or /: base64url is meant, which has - and _ instead"
        }
        DecodeError::InvalidByte(..) => "has a character that base64url does not have",
        DecodeError::InvalidLastSymbol { .. } => "has bits behind its last octet: it was cut or altered",
        _ => "is no base64url: its length cannot be right",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        decode("n", text).unwrap_err().to_string()
    }

    #[test]
    fn padding_may_be_there_or_not() {
        for text in ["-_8", "-_8="] {
            assert_eq!(**decode("n", text).unwrap(), [0xfb, 0xff]);
        }
        let mut out = String::new();
        encode_into(&mut out, &[0xfb, 0xff]);
        assert_eq!(out, "-_8");
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        assert_eq!(refused(""), "n: is empty");
        assert_eq!(refused("+_8"), "n: has + or /: base64url is meant, which has - and _ instead");
        assert_eq!(refused("-/8"), "n: has + or /: base64url is meant, which has - and _ instead");
        assert_eq!(refused("-_9"), "n: has bits behind its last octet: it was cut or altered");
        assert_eq!(refused("A"), "n: is no base64url: its length cannot be right");
        for text in ["-_ 8", "AA\n", "ä", "=", "AA=A", " AAAA"] {
            assert_eq!(refused(text), "n: has a character that base64url does not have", "{text:?}");
        }
    }
}
