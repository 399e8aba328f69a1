//! What to tell a caller whose text was spoilt on its way here.

use crate::crypto::key::Flaw;

/// Refuses a text that begins with a byte order mark, or that is the name of a file with `@` before it. `field` is
/// the name under which it was sent. curl reads no file for `--data name=@file`; neither does this service.
pub fn refuse_start(field: &str, text: &str) -> Result<(), Flaw> {
    if text.starts_with('\u{feff}') {
        return Err(Flaw::whole("the text begins with a byte order mark: save it as UTF-8 without one"));
    }
    if !text.trim_start().starts_with('@') {
        return Ok(());
    }
    Err(Flaw::whole(format!(
        "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: \
         use --data-urlencode '{field}@FILE' or -F '{field}=<FILE'"
    )))
}

/// Refuses a PEM where a JWK is wanted.
pub fn refuse_pem(text: &str) -> Result<(), Flaw> {
    if !text.trim_start().starts_with("-----BEGIN") {
        return Ok(());
    }
    Err(Flaw::whole("the text is PEM: send it as pem.private_key or pem.public_key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_is_told_from_a_jwk() {
        assert!(refuse_pem("{\"kid\":\"-----BEGIN\"}").is_ok());
        assert_eq!(
            refuse_pem("\n-----BEGIN PUBLIC KEY-----").unwrap_err().to_string(),
            "the text is PEM: send it as pem.private_key or pem.public_key"
        );
    }

    #[test]
    fn a_byte_order_mark_is_named() {
        assert_eq!(
            refuse_start("jwk", "\u{feff}{}").unwrap_err().to_string(),
            "the text begins with a byte order mark: save it as UTF-8 without one"
        );
    }

    #[test]
    fn a_file_name_is_told_from_a_key() {
        assert!(refuse_start("jwk", "{\"kty\":\"RSA\"}").is_ok());
        assert_eq!(
            refuse_start("jwk", "@key.json").unwrap_err().to_string(),
            "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: \
             use --data-urlencode 'jwk@FILE' or -F 'jwk=<FILE'"
        );
    }
}
