//! What to tell a caller whose text was spoilt on its way here.

use crate::crypto::key::Flaw;

/// Refuses a text that is the name of a file with `@` before it. `field` is the name under which it was sent.
/// curl reads no file for `--data name=@file`; neither does this service.
pub fn refuse_file_name(field: &str, text: &str) -> Result<(), Flaw> {
    if !text.trim_start().starts_with('@') {
        return Ok(());
    }
    Err(Flaw::whole(format!(
        "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: \
         use --data-urlencode '{field}@FILE' or -F '{field}=<FILE'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_told_from_a_key() {
        assert!(refuse_file_name("jwk", "{\"kty\":\"RSA\"}").is_ok());
        assert_eq!(
            refuse_file_name("jwk", "@key.json").unwrap_err().to_string(),
            "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: \
             use --data-urlencode 'jwk@FILE' or -F 'jwk=<FILE'"
        );
    }
}
