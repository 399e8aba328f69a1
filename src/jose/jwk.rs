//! JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! Reading and judging are apart: a [`Jwk`] is text whose members are known, and only [`Jwk::load`] says whether
//! there is a key in it. Values are never copied before that, so the text stays the only place they are at.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::number;
use crate::crypto::key::{Crt, Curve, EcKey, Flaw, Key, OkpCurve, OkpKey, RsaKey, Rules};
use crate::domain::secret::Secret;
use crate::domain::text::looks_like_key;

/// The members that stay when a JWK is made public: those of RFC 7517 §4, the public ones of RFC 7518 §6, and
/// `issuer`, which Kong knows too.
const PUBLIC: [&str; 15] = [
    "kty", "use", "key_ops", "alg", "kid", "x5u", "x5c", "x5t", "x5t#S256", "crv", "x", "y", "n", "e",
    "issuer",
];

/// The members that hold something private, whatever the type of the key (RFC 7518 §6).
const PRIVATE: [&str; 10] = ["d", "p", "q", "dp", "dq", "qi", "oth", "r", "t", "k"];

/// The members whose values are lists of strings (RFC 7517 §4.3 and §4.7).
const LISTS: [&str; 2] = ["key_ops", "x5c"];

/// A JWK as text that was read but not judged.
pub struct Jwk<'a> {
    text: &'a str,
    members: Vec<(String, &'a RawValue)>,
    kid: Option<String>,
}

/// Why a text is no JWK at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not JSON (RFC 8259).
    NotJson,
    /// JSON, but not an object.
    NotAnObject,
    /// A member is there twice, which RFC 7517 §4 lets us refuse. Its name, if it is one that JWKs have.
    Duplicate(Option<&'static str>),
    /// A set of JWKs (RFC 7517 §5) instead of one.
    Set,
}

/// The modulus of an RSA key as the JWK member `n`: base64url of the big-endian number without leading
/// zero bytes (RFC 7518 §6.3.1.1).
#[must_use]
pub fn rsa_n(modulus: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(modulus)
}

/// Writes a key as a JWK with the members in their customary order, the private ones too if it has them.
#[must_use]
pub fn write(key: &Key, kid: &str) -> Secret {
    let kid = serde_json::Value::from(kid).to_string();
    let members = members_of(key);
    // Reserved up front: growing later would leave private numbers behind in the old allocation.
    let room: usize = members.iter().map(|(name, value)| name.len() + 6 + value.len() * 2).sum();
    let mut text = String::with_capacity(room + kid.len() + 64);
    text.push_str("{\"kty\":\"");
    text.push_str(kty_of(key));
    text.push_str("\",\"kid\":");
    text.push_str(&kid);
    if let Some(crv) = crv_of(key) {
        text.push_str(",\"crv\":\"");
        text.push_str(crv);
        text.push('"');
    }
    for (name, value) in members {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":\"");
        number::encode_into(&mut text, value);
        text.push('"');
    }
    text.push('}');
    Secret::new(text)
}

impl<'a> Jwk<'a> {
    /// Reads the members of a JWK.
    pub fn read(text: &'a str) -> Result<Self, Unreadable> {
        let members = members(text)?;
        let mut seen = HashSet::new();
        if let Some((again, _)) = members.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(Unreadable::Duplicate(known(again)));
        }
        let has = |member: &str| members.iter().any(|(name, _)| name == member);
        if has("keys") && !has("kty") {
            return Err(Unreadable::Set);
        }
        let kid = members.iter().find(|(name, _)| name == "kid");
        let kid = kid.and_then(|(_, value)| serde_json::from_str(value.get()).ok());
        Ok(Self { text, members, kid })
    }

    /// The `kid`; none if there is none or it is no string.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The first member that no JWK of the types known to RFC 7518 has.
    #[must_use]
    pub fn unknown_member(&self) -> Option<&str> {
        self.members.iter().map(|(name, _)| name.as_str()).find(|name| known(name).is_none())
    }

    /// Whether a private member is there, even one that the type of the key has no use for.
    #[must_use]
    pub fn has_private(&self) -> bool {
        self.members.iter().any(|(name, _)| PRIVATE.contains(&name.as_str()))
    }

    /// The text without private members: as it was given if it has none, and otherwise the public members in
    /// their order, each value as it was written. Members that are not known to be public are left out.
    #[must_use]
    pub fn public_text(&self) -> String {
        if !self.has_private() {
            return self.text.to_owned();
        }
        let public = self.members.iter().filter(|(name, _)| PUBLIC.contains(&name.as_str()));
        let members: Vec<_> = public.map(|(name, value)| format!("\"{name}\":{}", value.get())).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Makes the key, if there is one. `use`, `key_ops` and `alg` may say what they like.
    pub fn load(&self, rules: Rules) -> Result<Key, Flaw> {
        self.check_types()?;
        let private = |(name, value): &&(String, &RawValue)| {
            PUBLIC.contains(&name.as_str()) && looks_like_key(value.get())
        };
        if let Some((name, _)) = self.members.iter().find(private) {
            let name = known(name).unwrap_or("a member");
            return Err(Flaw::of(name, "there is a private key in it, and everyone would see it"));
        }
        let kty = self.text("kty")?.ok_or_else(|| Flaw::missing("kty"))?;
        match kty.as_str() {
            "RSA" => self.load_rsa(rules).map(Key::Rsa),
            "EC" => self.load_ec().map(Key::Ec),
            "OKP" => self.load_okp().map(Key::Okp),
            "oct" => Err(Flaw::of(
                "kty",
                "oct is a symmetric key; this service stores asymmetric keys only: RSA, EC and OKP",
            )),
            _ => Err(Flaw::of("kty", "must be RSA, EC or OKP, written exactly so")),
        }
    }

    fn load_rsa(&self, rules: Rules) -> Result<RsaKey, Flaw> {
        let (n, e) = (self.required("n")?, self.required("e")?);
        let Some(given) = self.first_of(&["d", "p", "q", "dp", "dq", "qi"]) else {
            return RsaKey::from_public(&n, &e, rules);
        };
        let d = self.beside("d", given)?;
        let Some(given) = self.first_of(&["p", "q", "dp", "dq", "qi"]) else {
            return RsaKey::from_private(&n, &e, &d, None, rules);
        };
        let prime_1 = self.beside("p", given)?;
        let prime_2 = self.beside("q", given)?;
        let dp = self.beside("dp", given)?;
        let dq = self.beside("dq", given)?;
        let qi = self.beside("qi", given)?;
        let crt = Crt { p: &prime_1, q: &prime_2, dp: &dp, dq: &dq, qi: &qi };
        RsaKey::from_private(&n, &e, &d, Some(&crt), rules)
    }

    fn load_ec(&self) -> Result<EcKey, Flaw> {
        let crv = self.text("crv")?.ok_or_else(|| Flaw::missing("crv"))?;
        let curve = match crv.as_str() {
            "P-256" => Curve::P256,
            "P-384" => Curve::P384,
            "P-521" => Curve::P521,
            "secp256k1" => return Err(Flaw::of("crv", "secp256k1 is not supported; use P-256")),
            _ => return Err(Flaw::of("crv", "must be P-256, P-384 or P-521")),
        };
        let (x, y) = (self.required("x")?, self.required("y")?);
        match self.number("d")? {
            Some(d) => EcKey::from_private(curve, &d, Some((&x, &y))),
            None => EcKey::from_public(curve, &x, &y),
        }
    }

    fn load_okp(&self) -> Result<OkpKey, Flaw> {
        let crv = self.text("crv")?.ok_or_else(|| Flaw::missing("crv"))?;
        let curve = match crv.as_str() {
            "Ed25519" => OkpCurve::Ed25519,
            "X25519" => OkpCurve::X25519,
            "Ed448" => return Err(Flaw::of("crv", "Ed448 is not supported; use Ed25519")),
            "X448" => return Err(Flaw::of("crv", "X448 is not supported; use X25519")),
            _ => return Err(Flaw::of("crv", "must be Ed25519 or X25519")),
        };
        match self.number("d")? {
            Some(d) => OkpKey::from_private(curve, &d, self.number("x")?.as_ref().map(|x| x.as_slice())),
            None => OkpKey::from_public(curve, &self.required("x")?),
        }
    }

    /// Every member that a JWK can have is of the type that RFC 7517 and RFC 7518 give it.
    fn check_types(&self) -> Result<(), Flaw> {
        for (name, value) in &self.members {
            let Some(member) = known(name) else { continue };
            if member == "oth" {
                return Err(Flaw::of("oth", "keys of more than two primes are not supported"));
            }
            if LISTS.contains(&member) {
                serde_json::from_str::<Vec<String>>(value.get())
                    .map_err(|_| Flaw::of(member, "must be a list of strings"))?;
            } else {
                self.text(member)?;
            }
        }
        Ok(())
    }

    fn first_of(&self, members: &[&'static str]) -> Option<&'static str> {
        members.iter().copied().find(|member| self.members.iter().any(|(name, _)| name == member))
    }

    /// A private number that must be there because `given` is (RFC 7518 §6.3.2).
    fn beside(&self, member: &'static str, given: &str) -> Result<Zeroizing<Vec<u8>>, Flaw> {
        self.number(member)?.ok_or_else(|| {
            Flaw::of(
                member,
                format!("is missing, though {given} is there: give all of d, p, q, dp, dq, qi, or d alone"),
            )
        })
    }

    fn required(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, Flaw> {
        self.number(member)?.ok_or_else(|| Flaw::missing(member))
    }

    fn number(&self, member: &'static str) -> Result<Option<Zeroizing<Vec<u8>>>, Flaw> {
        self.text(member)?.map(|text| number::decode(member, &text)).transpose()
    }

    fn text(&self, member: &'static str) -> Result<Option<Zeroizing<String>>, Flaw> {
        let Some((_, value)) = self.members.iter().find(|(name, _)| name == member) else { return Ok(None) };
        let text = serde_json::from_str(value.get()).map_err(|_| Flaw::of(member, "must be a string"))?;
        Ok(Some(Zeroizing::new(text)))
    }
}

impl fmt::Debug for Jwk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jwk(..)")
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the text is not JSON"),
            Self::NotAnObject => f.write_str("the text is JSON, but not an object"),
            Self::Duplicate(Some(member)) => write!(f, "the member {member} is there twice"),
            Self::Duplicate(None) => f.write_str("a member is there twice"),
            Self::Set => f.write_str("the text is a JWK set: send each of its keys by itself"),
        }
    }
}

impl std::error::Error for Unreadable {}

fn members(text: &str) -> Result<Vec<(String, &RawValue)>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Members).map_err(|error| unreadable(&error))?;
    reader.end().map_err(|error| unreadable(&error))?;
    Ok(members)
}

fn unreadable(error: &serde_json::Error) -> Unreadable {
    if error.is_data() { Unreadable::NotAnObject } else { Unreadable::NotJson }
}

/// The name, if it is one that JWKs have.
fn known(name: &str) -> Option<&'static str> {
    PUBLIC.into_iter().chain(PRIVATE).find(|known| *known == name)
}

/// Collects the members of an object, each value as the text that was written.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

fn kty_of(key: &Key) -> &'static str {
    match key {
        Key::Rsa(_) => "RSA",
        Key::Ec(_) => "EC",
        Key::Okp(_) => "OKP",
    }
}

fn crv_of(key: &Key) -> Option<&'static str> {
    match key {
        Key::Rsa(_) => None,
        Key::Ec(key) => Some(key.curve().name()),
        Key::Okp(key) => Some(key.curve().name()),
    }
}

/// The numbers of a key in the order in which RFC 7518 §6 has them.
fn members_of(key: &Key) -> Vec<(&'static str, &[u8])> {
    let mut members = Vec::with_capacity(8);
    match key {
        Key::Rsa(key) => {
            members.extend([("n", key.n()), ("e", key.e())]);
            if let Some(private) = key.private_half() {
                let Crt { p, q, dp, dq, qi } = private.crt();
                members.push(("d", private.d()));
                members.extend([("p", p), ("q", q), ("dp", dp), ("dq", dq), ("qi", qi)]);
            }
        }
        Key::Ec(key) => {
            members.extend([("x", key.x()), ("y", key.y())]);
            members.extend(key.d().map(|d| ("d", d)));
        }
        Key::Okp(key) => {
            members.push(("x", key.x()));
            members.extend(key.d().map(|d| ("d", d)));
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules::new(2048);

    /// RFC 8037, Appendix A.1.
    const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn p256() -> String {
        write(&Key::Ec(EcKey::from_private(Curve::P256, &[7; 32], None).unwrap()), "k").reveal().to_owned()
    }

    fn refused(text: &str) -> String {
        Jwk::read(text).unwrap().load(RULES).unwrap_err().to_string()
    }

    /// `text` with the value of one member replaced.
    fn with(text: &str, member: &str, value: &str) -> String {
        let mut object: serde_json::Map<_, _> = serde_json::from_str(text).unwrap();
        object.insert(member.to_owned(), serde_json::from_str(value).unwrap());
        serde_json::to_string(&object).unwrap()
    }

    fn without(text: &str, member: &str) -> String {
        let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        object.remove(member).unwrap();
        serde_json::to_string(&object).unwrap()
    }

    #[test]
    fn the_key_of_rfc_8037_is_read_and_written() {
        let key = Jwk::read(ED25519).unwrap().load(RULES).unwrap();
        let written = r#"{"kty":"OKP","kid":"a\"b","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
        assert_eq!(write(&key, "a\"b").reveal(), written);
        let alone = Jwk::read(&without(ED25519, "x")).unwrap().load(RULES).unwrap();
        assert!(alone.same_public(&key) && alone.is_private());
        let public = Jwk::read(&without(ED25519, "d")).unwrap().load(RULES).unwrap();
        assert!(public.same_public(&key) && !public.is_private());
    }

    #[test]
    fn what_is_no_jwk_is_told_apart() {
        let read = |text| Jwk::read(text).unwrap_err();
        for text in ["", "{", "{}x", "{\"a\":}", "hello", "\u{feff}{}", "{'kty':'RSA'}"] {
            assert_eq!(read(text), Unreadable::NotJson, "{text:?}");
        }
        for text in ["7", "null", "[]", "\"{}\""] {
            assert_eq!(read(text), Unreadable::NotAnObject, "{text:?}");
        }
        assert_eq!(read(r#"{"keys":[{"kty":"EC"}]}"#), Unreadable::Set);
        assert!(Jwk::read(r#"{"kty":"EC","keys":[]}"#).is_ok());
        assert_eq!(read(r#"{"d":1,"\u0064":2}"#).to_string(), "the member d is there twice");
        assert_eq!(read(r#"{"secret":1,"secret":2}"#).to_string(), "a member is there twice");
    }

    #[test]
    fn a_jwk_tells_of_itself_without_being_judged() {
        let jwk = Jwk::read(r#"{"kid":"caf\u00e9","kty":7,"ext":true,"more":1}"#).unwrap();
        assert_eq!((jwk.kid(), jwk.unknown_member(), jwk.has_private()), (Some("café"), Some("ext"), false));
        for text in ["{}", r#"{"kid":7}"#, r#"{"kid":null}"#, r#"{"kid":"\ud800"}"#] {
            assert_eq!(Jwk::read(text).unwrap().kid(), None, "{text}");
        }
        for member in PRIVATE {
            let text = format!(r#"{{"kty":"RSA","{member}":null}}"#);
            assert!(Jwk::read(&text).unwrap().has_private(), "{member}");
        }
        assert_eq!(format!("{:?}", Jwk::read(ED25519).unwrap()), "Jwk(..)");
    }

    #[test]
    fn the_public_text_leaves_out_what_is_private_or_unknown() {
        let text = r#" {"kty" : "EC", "ext": true, "d":"x", "k":1, "x5c": [ "A" ],"x":"1\u0032","oth":[{"d":"z"}]} "#;
        let public = Jwk::read(text).unwrap().public_text();
        assert_eq!(public, r#"{"kty":"EC","x5c":[ "A" ],"x":"1\u0032"}"#);
        let text = "{ \"kty\":\"EC\",\n \"ext\" : true }\n";
        assert_eq!(Jwk::read(text).unwrap().public_text(), text);
        let hidden = Jwk::read(r#"{"\u0064":"secret","\u006e":"1"}"#).unwrap();
        assert_eq!(hidden.public_text(), r#"{"n":"1"}"#);
    }

    #[test]
    fn the_type_of_the_key_must_be_there_and_known() {
        assert_eq!(refused("{}"), "kty: is missing");
        for kty in ["\"rsa\"", "\"\"", "\"DSA\""] {
            assert_eq!(
                refused(&with(ED25519, "kty", kty)),
                "kty: must be RSA, EC or OKP, written exactly so"
            );
        }
        assert_eq!(
            refused(r#"{"kty":"oct","k":"AAAA"}"#),
            "kty: oct is a symmetric key; this service stores asymmetric keys only: RSA, EC and OKP"
        );
        let crv = |text: &str, crv| refused(&with(text, "crv", crv));
        assert_eq!(crv(ED25519, "\"Ed448\""), "crv: Ed448 is not supported; use Ed25519");
        assert_eq!(crv(ED25519, "\"X448\""), "crv: X448 is not supported; use X25519");
        assert_eq!(crv(ED25519, "\"P-256\""), "crv: must be Ed25519 or X25519");
        assert_eq!(crv(&p256(), "\"secp256k1\""), "crv: secp256k1 is not supported; use P-256");
        assert_eq!(crv(&p256(), "\"p-256\""), "crv: must be P-256, P-384 or P-521");
        assert_eq!(refused(&without(&p256(), "crv")), "crv: is missing");
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        for member in PUBLIC.into_iter().chain(PRIVATE).filter(|name| *name != "oth" && !LISTS.contains(name))
        {
            for value in ["7", "null", "[\"a\"]", "{}"] {
                assert_eq!(refused(&with(ED25519, member, value)), format!("{member}: must be a string"));
            }
        }
        for member in LISTS {
            for value in ["\"a\"", "null", "[7]"] {
                assert_eq!(
                    refused(&with(ED25519, member, value)),
                    format!("{member}: must be a list of strings")
                );
            }
        }
        assert_eq!(
            refused(&with(ED25519, "oth", "[]")),
            "oth: keys of more than two primes are not supported"
        );
        let said = with(&with(ED25519, "alg", "\"A256GCM\""), "key_ops", "[\"fly\"]");
        assert!(Jwk::read(&with(&said, "use", "\"enc\"")).unwrap().load(RULES).is_ok());
    }

    #[test]
    fn numbers_must_be_there_and_belong_together() {
        for member in ["x", "y"] {
            assert_eq!(refused(&without(&p256(), member)), format!("{member}: is missing"));
        }
        for (member, flaw) in
            [("x", "x, y: the point is not on the curve P-256"), ("d", "d: does not belong to x and y")]
        {
            assert_eq!(refused(&with(&p256(), member, "\"AQ\"")), flaw);
            assert_eq!(refused(&with(&p256(), member, "\"\"")), format!("{member}: is empty"));
        }
        assert_eq!(refused(&without(&without(ED25519, "x"), "d")), "x: is missing");
        assert_eq!(refused(r#"{"kty":"RSA","e":"AQAB"}"#), "n: is missing");
        assert_eq!(refused(r#"{"kty":"RSA","n":"AQAB"}"#), "e: is missing");
        let rsa = r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#;
        assert_eq!(refused(rsa), "n: the modulus has 17 bits, and this service takes no less than 2048");
        let tail = "give all of d, p, q, dp, dq, qi, or d alone";
        let lonely = with(rsa, "p", "\"AQ\"");
        assert_eq!(refused(&lonely), format!("d: is missing, though p is there: {tail}"));
        let pair = with(&lonely, "d", "\"AQ\"");
        assert_eq!(refused(&pair), format!("q: is missing, though p is there: {tail}"));
        let three = with(&with(&pair, "q", "\"AQ\""), "dp", "\"AQ\"");
        assert_eq!(refused(&three), format!("dq: is missing, though p is there: {tail}"));
    }

    #[test]
    fn padding_and_escapes_in_a_number_are_read() {
        let padded = ED25519.replace("HURo\"", "HURo\\u003d\"");
        assert!(Jwk::read(&padded).unwrap().load(RULES).is_ok());
    }
}
