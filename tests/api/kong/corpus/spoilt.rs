//! PEMs that were spoilt on their way, and what is said of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KID;
use crate::harness::keys::ec_jwk;

pub const LOST: &str = "the newlines are lost, as a form or a shell does it: send the text with \
     --data-urlencode, or as JSON with \\n";
pub const LITERAL: &str = "the newlines are written as \\n and were taken as they stand; only JSON reads \\n as \
     a newline: in a form, send the text with --data-urlencode";
pub const BLANKS: &str = "there are blanks inside the base64; a form turns each + into a blank: send the text \
     with --data-urlencode, or as JSON";
pub const CUT: &str = "the text was cut: an END line is missing";
pub const BASE64: &str = "the base64 between BEGIN and END was cut or altered";
pub const SPOILT: &str = "what is inside the base64 is not what the BEGIN line says, or it was altered";
pub const EARLY: &str = "the key ends too early: the text was cut";
pub const BEHIND: &str = "there is something behind the end of the key";
pub const NUL: &str = "must not contain the character U+0000";
pub const NONE: &str = "there is no PEM in the text: a line -----BEGIN ...----- is missing";
pub const ARMOR: &str = "the lines -----BEGIN ...----- and -----END ...----- are missing";
pub const INDENTED: &str = "the BEGIN line is indented or has text before it; start it at column 1";
pub const BEHIND_INDENTED: &str = "the lines behind the BEGIN line are indented; start them at column 1";
pub const MARK: &str = "the text begins with a byte order mark: save it as UTF-8 without one";
pub const LABELS: &str = "the labels of the BEGIN and the END line differ";
pub const ENCRYPTED: &str = "the key is encrypted; take its pass phrase off: openssl pkey -in FILE";
pub const CERTIFICATE: &str = "this is a certificate, and a private key is wanted";
pub const EXPLICIT: &str = "the EC key spells its curve out; name it: openssl ec -param_enc named_curve";
pub const BESIDE: &str =
    "there is a private key in the text, and a public one is wanted: openssl pkey -in FILE -pubout makes it";

/// How a text gets spoilt on its way, whatever is in it.
pub fn spoilt(text: &str) -> Vec<(&'static str, String, &'static str)> {
    let lines: Vec<_> = text.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");
    let letters = lines[1..lines.len() - 1].concat();
    vec![
        ("newlines lost", text.replace('\n', ""), LOST),
        ("newlines blank", text.replace('\n', " "), LOST),
        ("newlines as CR", text.replace('\n', "\r"), LOST),
        ("newlines as backslash and n", text.replace('\n', "\\n"), LITERAL),
        ("newlines as both", text.replace('\n', "\\n\n"), LITERAL),
        ("first newline lost", text.replacen('\n', "", 1), LOST),
        ("last newline lost", text.trim_end().replace(&format!("\n{last}"), last), LOST),
        ("a blank in the base64", text.replacen("\nM", "\nM ", 1), BLANKS),
        ("base64 indented", text.replace('\n', "\n  "), BEHIND_INDENTED),
        ("END indented", text.replace(last, &format!(" {last}")), BEHIND_INDENTED),
        ("all indented", format!("  {}", text.replace('\n', "\n  ")), INDENTED),
        ("a word before BEGIN", format!("key: {text}"), INDENTED),
        ("a byte order mark", format!("\u{feff}{text}"), MARK),
        ("no BEGIN line", without(0), "the text was cut: a BEGIN line is missing"),
        ("no END line", without(lines.len() - 1), CUT),
        ("BEGIN line alone", format!("{first}\n"), CUT),
        ("BEGIN and END alone", format!("{first}\n{last}\n"), EARLY),
        ("cut in the middle", text[..text.len() / 2].to_owned(), CUT),
        ("cut in the END line", text.trim_end()[..text.len() - 6].to_owned(), LABELS),
        ("END lacks a dash", text.trim_end()[..text.len() - 2].to_owned(), LABELS),
        ("another label at the end", text.replace("-----END ", "-----END X "), LABELS),
        ("two BEGIN lines", format!("{first}\n{text}"), CUT),
        (
            "a character that is not base64",
            text.replacen("\nM", "\n*", 1),
            "there is a character between BEGIN and END that base64 does not have",
        ),
        (
            "base64url",
            text.replacen("\nM", "\n_", 1),
            "there is a character between BEGIN and END that base64 does not have",
        ),
        ("one character of the base64 lost", text.replacen("\nM", "\n", 1), BASE64),
        ("padding in the middle", text.replacen("\nM", "\n=", 1), BASE64),
        ("base64 alone", letters, ARMOR),
        ("an octet behind the key", armored(first, last, &[&der(text)[..], &[0]].concat()), BEHIND),
        ("the last octet lost", armored(first, last, &der(text)[..der(text).len() - 1]), EARLY),
        ("no DER inside", armored(first, last, b"hello"), SPOILT),
        ("blank", " \n\n".to_owned(), "the text is empty"),
        ("no PEM", "hello".to_owned(), NONE),
        ("a JWK", ec_jwk(KID).to_string(), "the text is a JWK, and PEM is wanted: send it as jwk"),
    ]
}

/// What is between BEGIN and END.
pub fn der(text: &str) -> Vec<u8> {
    let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).unwrap()
}

pub fn armor(label: &str, der: &[u8]) -> String {
    armored(&format!("-----BEGIN {label}-----"), &format!("-----END {label}-----"), der)
}

fn armored(begin: &str, end: &str, der: &[u8]) -> String {
    format!("{begin}\n{}\n{end}\n", STANDARD.encode(der))
}
