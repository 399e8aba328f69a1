//! The lines around the base64 (RFC 7468), with a reason for each way in which they get spoilt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::key::Flaw;
use crate::jose::hint;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// How many columns of base64 a line has (RFC 7468 §2).
const COLUMNS: usize = 64;

/// One block between BEGIN and END.
pub(super) struct Block<'a> {
    /// What the block says it holds.
    pub(super) label: &'a str,
    /// Whether the headers of RFC 1421 §4.6.1.1 say that it is encrypted.
    pub(super) encrypted: bool,
    base64: Zeroizing<String>,
}

/// The blocks of a text, one after the other. What stands between them is not looked at.
pub(super) struct Blocks<'a> {
    lines: std::str::Lines<'a>,
}

impl<'a> Blocks<'a> {
    /// Looks at the text as a whole. `field` is the name under which it was sent.
    pub(super) fn of(field: &str, text: &'a str) -> Result<Self, Flaw> {
        if text.trim().is_empty() {
            return Err(Flaw::whole("the text is empty"));
        }
        hint::refuse_start(field, text)?;
        if !text.contains(BEGIN) {
            return Err(without_begin(text));
        }
        if text.contains('\0') {
            return Err(Flaw::whole("the text has a NUL in it; PEM is plain text"));
        }
        if !text.lines().any(|line| line.starts_with(BEGIN)) {
            return Err(Flaw::whole(
                "the BEGIN line is indented or has text before it; start it at column 1",
            ));
        }
        Ok(Self { lines: text.lines() })
    }

    /// The next block; none when there is no more.
    pub(super) fn next(&mut self) -> Result<Option<Block<'a>>, Flaw> {
        let Some(begin) = self.lines.find(|line| line.starts_with(BEGIN)) else { return Ok(None) };
        let label = label(begin, BEGIN).ok_or_else(|| lost_newlines(begin))?;
        let (mut base64, mut encrypted) = (Zeroizing::new(String::new()), false);
        // Reserved up front: growing later would leave a part of the key behind in the old allocation.
        base64.reserve(self.lines.clone().take_while(|line| !line.starts_with(END)).map(str::len).sum());
        for line in self.lines.by_ref().map(str::trim_end) {
            if line.starts_with(BEGIN) {
                return Err(unterminated());
            }
            if line.starts_with(END) {
                return match self::label(line, END) {
                    Some(end) if end == label => Ok(Some(Block { label, encrypted, base64 })),
                    _ => Err(Flaw::whole("the labels of the BEGIN and the END line differ")),
                };
            }
            if base64.is_empty() && line.contains(':') {
                encrypted |= line.starts_with("Proc-Type:") && line.contains("ENCRYPTED");
                continue;
            }
            push(&mut base64, line)?;
        }
        Err(unterminated())
    }
}

impl Block<'_> {
    /// What the block holds, in DER.
    pub(super) fn der(&self) -> Result<Zeroizing<Vec<u8>>, Flaw> {
        let decoded = STANDARD.decode(self.base64.as_str());
        decoded
            .map(Zeroizing::new)
            .map_err(|_| Flaw::whole("the base64 between BEGIN and END was cut or altered"))
    }
}

/// How many characters of a text are neither the key of a block nor its BEGIN and END lines.
pub(super) fn around(text: &str) -> usize {
    let (mut inside, mut around) = (false, 0);
    for line in text.lines() {
        match line {
            _ if line.starts_with(BEGIN) => inside = true,
            _ if line.starts_with(END) => inside = false,
            _ if !inside || line.contains(':') => around += line.chars().count(),
            _ => {}
        }
    }
    around
}

/// Writes one block, with lines of 64 columns and a newline at the end (RFC 7468 §2).
pub(super) fn write(label: &str, der: &[u8]) -> String {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut rest = base64.as_str();
    let room = rest.len() + rest.len() / COLUMNS + 2 * (label.len() + END.len() + DASHES.len() + 2);
    // Reserved up front, for the same reason as in reading.
    let mut text = String::with_capacity(room);
    for part in [BEGIN, label, DASHES, "\n"] {
        text.push_str(part);
    }
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(COLUMNS).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    for part in [END, label, DASHES, "\n"] {
        text.push_str(part);
    }
    text
}

/// The label of a BEGIN or END line that has nothing behind its dashes.
fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let label = line.trim_end().strip_prefix(start)?.strip_suffix(DASHES)?;
    (!label.contains(DASHES)).then_some(label)
}

fn push(base64: &mut String, line: &str) -> Result<(), Flaw> {
    // A key in DER begins with a letter in base64, so a blank before it was no +.
    if (base64.is_empty() && line.starts_with([' ', '\t'])) || line.trim_start().starts_with(DASHES) {
        return Err(Flaw::whole("the lines behind the BEGIN line are indented; start them at column 1"));
    }
    if line.contains(DASHES) {
        return Err(lost_newlines(line));
    }
    if line.contains([' ', '\t']) {
        return Err(Flaw::whole(
            "there are blanks inside the base64; a form turns each + into a blank: send the text with \
             --data-urlencode, or as JSON",
        ));
    }
    if line.contains('\\') {
        return Err(lost_newlines(line));
    }
    if !is_base64(line) {
        base64.zeroize();
        return Err(Flaw::whole("there is a character between BEGIN and END that base64 does not have"));
    }
    base64.push_str(line);
    Ok(())
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

fn without_begin(text: &str) -> Flaw {
    if text.starts_with('0') && text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) {
        return Flaw::whole("this is DER, which is binary; PEM is wanted: openssl pkey -inform DER makes it");
    }
    if text.contains("-----BEGIN") {
        return Flaw::whole("the BEGIN line is spoilt; send the text with --data-urlencode, or as JSON");
    }
    if text.contains("-----END") {
        return Flaw::whole("the text was cut: a BEGIN line is missing");
    }
    let start = text.trim_start();
    // What base64 makes of the first octet of every key in DER.
    if start.starts_with('M') && start.split_ascii_whitespace().all(is_base64) {
        return Flaw::whole("the lines -----BEGIN ...----- and -----END ...----- are missing");
    }
    if start.starts_with('{') && start.contains("\"kty\"") {
        return Flaw::whole("the text is a JWK, and PEM is wanted: send it as jwk");
    }
    if start.starts_with("ssh-") || start.starts_with("ecdsa-sha2-") {
        return Flaw::whole(
            "this is OpenSSH's own form, and PEM is wanted (for RSA and EC: ssh-keygen -e -m PKCS8 -f FILE)",
        );
    }
    Flaw::whole("there is no PEM in the text: a line -----BEGIN ...----- is missing")
}

fn lost_newlines(line: &str) -> Flaw {
    if line.contains("\\n") {
        return Flaw::whole(
            "the newlines are written as \\n and were taken as they stand; only JSON reads \\n as a newline: in a \
             form, send the text with --data-urlencode",
        );
    }
    Flaw::whole(
        "the newlines are lost, as a form or a shell does it: send the text with --data-urlencode, or as JSON \
         with \\n",
    )
}

fn unterminated() -> Flaw {
    Flaw::whole("the text was cut: an END line is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-----BEGIN X-----\nAAEC\nAwQ=\n-----END X-----\n";

    fn first(text: &str) -> Result<(String, Vec<u8>), String> {
        let block = Blocks::of("pem.private_key", text).and_then(|mut blocks| blocks.next());
        let block = block.map_err(|flaw| flaw.to_string())?.unwrap();
        Ok((block.label.to_owned(), block.der().map_err(|flaw| flaw.to_string())?.to_vec()))
    }

    #[test]
    fn what_others_write_is_read() {
        let texts = [
            TEXT.to_owned(),
            TEXT.replace('\n', "\r\n"),
            TEXT.trim_end().to_owned(),
            format!("Bag Attributes: 1\n\n{TEXT}more"),
            TEXT.replace("AAEC\nAwQ=", "AAECAwQ="),
            TEXT.replace("AAEC\nAwQ=", "A\nA\nEC\n\nAwQ="),
            TEXT.replace("-----\nA", "-----  \nComment: x\n\nA"),
        ];
        for text in texts {
            assert_eq!(first(&text), Ok(("X".to_owned(), vec![0, 1, 2, 3, 4])), "{text:?}");
        }
    }

    #[test]
    fn lines_are_written_with_64_columns() {
        let text = write("X", &[0; 50]);
        let widths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!((widths, text.ends_with("-----END X-----\n")), (vec![17, 64, 4, 15], true));
        for len in [0, 47, 48, 49, 96] {
            assert_eq!(first(&write("X", &vec![7; len])).unwrap().1, vec![7; len]);
        }
    }

    #[test]
    fn whatever_was_spoilt_is_told_by_its_cause() {
        let cases = [
            (String::new(), "the text is empty"),
            (" \n".to_owned(), "the text is empty"),
            ("@key.pem".to_owned(), "the text begins with @"),
            ("hello".to_owned(), "there is no PEM in the text"),
            ("MIIEvQ".to_owned(), "the lines -----BEGIN ...----- and"),
            ("MC4C\nAQAw".to_owned(), "the lines -----BEGIN ...----- and"),
            ("My key is lost.".to_owned(), "there is no PEM in the text"),
            ("AAEC\n-----END X-----".to_owned(), "the text was cut: a BEGIN line is missing"),
            ("{\"kty\":\"EC\"}".to_owned(), "the text is a JWK, and PEM is wanted"),
            ("ssh-rsa AAAA me".to_owned(), "this is OpenSSH's own form, and PEM"),
            ("ecdsa-sha2-nistp256 AAAA".to_owned(), "this is OpenSSH's own form, and PEM"),
            ("0\u{2}\u{1}".to_owned(), "this is DER"),
            ("-----BEGIN+X-----".to_owned(), "the BEGIN line is spoilt"),
            (TEXT.replace("AA", "A\0A"), "the text has a NUL"),
            (format!(" {}", TEXT.trim()), "the BEGIN line is indented"),
            (TEXT.replace('\n', " "), "the newlines are lost"),
            (TEXT.replace('\n', ""), "the newlines are lost"),
            (TEXT.replace('\n', "\r"), "the newlines are lost"),
            (TEXT.replace('\n', "\\n"), "the newlines are written as \\n"),
            (TEXT.replace("C\nA", "C\\nA"), "the newlines are written as \\n"),
            (TEXT.replace("AEC", "A C"), "there are blanks inside the base64"),
            (TEXT.replace("AwQ", " AwQ"), "there are blanks inside the base64"),
            (TEXT.replace("AAEC", "  AAEC"), "the lines behind the BEGIN line are"),
            (TEXT.replace("AAEC", "\tAAEC"), "the lines behind the BEGIN line are"),
            (TEXT.replace("-----END", " -----END"), "the lines behind the BEGIN line are"),
            (TEXT.replace("=\n", "="), "the newlines are lost"),
            (TEXT.replace("AEC", "A*C"), "there is a character between BEGIN and END"),
            (TEXT.replace("AAEC\n", "AAE\n"), "the base64 between BEGIN and END was cut"),
            (TEXT.replace("END X", "END Y"), "the labels of the BEGIN and the END line differ"),
            (TEXT.replace("-----END X-----\n", ""), "the text was cut: an END line is missing"),
            (TEXT.replace("-----END", "-----BEGIN"), "the text was cut: an END line is missing"),
            (TEXT.replace("END X-----", "END X"), "the labels of the BEGIN and the END line differ"),
        ];
        for (text, problem) in cases {
            let found = first(&text).unwrap_err();
            assert!(found.starts_with(problem), "{text:?}: {found}");
        }
    }

    #[test]
    fn encryption_is_seen_in_the_headers() {
        let text = TEXT.replace("AAEC", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAEC");
        let block = Blocks::of("x", &text).unwrap().next().unwrap().unwrap();
        assert!(block.encrypted);
    }
}
