//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

/// The operator's rules. Without any, only public addresses may be called, and only over TLS.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Ranges that may be called although they are not public.
    pub allow: Vec<IpNet>,
    /// Whether these ranges, and only they, may also be called over plain HTTP.
    pub allow_http: bool,
}

impl Policy {
    /// Checks what a URL alone tells: its scheme, and its host where that is an address. The URL parser has
    /// already turned decimal, octal and hexadecimal spellings into one address.
    pub fn judge_url(&self, url: &Url) -> Result<(), String> {
        let plain_http = match url.scheme() {
            "https" => false,
            "http" if self.allow_http => true,
            _ => return Err("Only https:// may be called".to_owned()),
        };
        match url.host() {
            Some(Host::Ipv4(address)) => self.judge(address.into(), plain_http),
            Some(Host::Ipv6(address)) => self.judge(address.into(), plain_http),
            Some(Host::Domain(_)) => Ok(()),
            None => Err("The address has no host".to_owned()),
        }
    }

    /// Checks an address that is about to be connected to.
    pub fn judge(&self, address: IpAddr, plain_http: bool) -> Result<(), String> {
        let address = address.to_canonical();
        if self.allow.iter().any(|range| range.contains(&address)) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(format!(
                "The address {address} is not public, and the operator has not allowed it in outbound.allow"
            ));
        }
        if plain_http {
            return Err(format!(
                "The address {address} may be called over https:// only: plain HTTP is for ranges in outbound.allow"
            ));
        }
        Ok(())
    }
}

/// Whether an address is one of the global Internet, by the IANA special-purpose registries (RFC 6890 and
/// its updates). `address` is canonical: no IPv4-mapped IPv6.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]       // this network, private, loopback, multicast, reserved
        | [100, 64..=127, ..]                // carrier-grade NAT; some clouds' metadata
        | [169, 254, ..]                     // link-local; most clouds' metadata
        | [172, 16..=31, ..]                 // private
        | [192, 0, 0 | 2, _]                 // protocol assignments, documentation
        | [192, 88, 99, _]                   // 6to4 relays
        | [192, 168, ..]                     // private
        | [198, 18 | 19, ..]                 // benchmarks
        | [198, 51, 100, _]                  // documentation
        | [203, 0, 113, _] // documentation
    )
}

/// Only `2000::/3` is handed out to the Internet; what tunnels or embeds IPv4 in it is taken out again.
#[expect(clippy::match_same_arms, reason = "one range a line, each with its name")]
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0x0000..=0x01ff, ..] => false, // protocol assignments, Teredo
        [0x2001, 0x0db8, ..] => false,          // documentation
        [0x2002, ..] => false,                  // 6to4
        [0x3fff, 0x0000..=0x0fff, ..] => false, // documentation
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(policy: &Policy, url: &str) -> Result<(), String> {
        Url::parse(url).map_err(|error| error.to_string()).and_then(|url| policy.judge_url(&url))
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_in_every_spelling() {
        let hosts = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "0.0.0.0",
            "0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
        ];
        for host in hosts {
            let refusal = judge(&Policy::default(), &format!("https://{host}/")).unwrap_err();
            assert!(refusal.contains("is not public"), "{host} gave {refusal}");
        }
    }

    #[test]
    fn public_addresses_may_be_called_over_tls_only() {
        let lenient = Policy { allow: vec!["10.0.0.0/8".parse().unwrap()], allow_http: true };
        for host in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[::ffff:1.1.1.1]"] {
            assert_eq!(judge(&Policy::default(), &format!("https://{host}/")), Ok(()), "{host}");
            let refusal = judge(&Policy::default(), &format!("http://{host}/")).unwrap_err();
            assert_eq!(refusal, "Only https:// may be called");
            let refusal = judge(&lenient, &format!("http://{host}/")).unwrap_err();
            assert!(refusal.contains("may be called over https:// only"), "{host} gave {refusal}");
        }
    }

    #[test]
    fn what_the_operator_allows_may_be_called_and_nothing_beside_it() {
        let policy = Policy {
            allow: vec!["127.0.0.0/8".parse().unwrap(), "fd00::/16".parse().unwrap()],
            allow_http: true,
        };
        for host in ["127.0.0.1", "127.9.9.9", "[::ffff:127.0.0.1]", "[fd00::1]"] {
            for scheme in ["https", "http"] {
                assert_eq!(judge(&policy, &format!("{scheme}://{host}/")), Ok(()), "{scheme} {host}");
            }
        }
        for host in ["10.0.0.1", "[::1]", "[fd01::1]", "169.254.169.254"] {
            assert!(judge(&policy, &format!("https://{host}/")).is_err(), "{host}");
        }
        assert!(judge(&Policy { allow_http: false, ..policy }, "http://127.0.0.1/").is_err());
    }
}
