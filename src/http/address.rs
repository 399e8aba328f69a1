//! Where a request comes from: the address of its client, through the proxies that are trusted to tell it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use crate::app::App;

/// What proxies append to: each the address of whoever it has the request from.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client; `None` when the connection has none.
///
/// It is that of the peer. If the peer is one of the trusted proxies, it is the right-most address of
/// `X-Forwarded-For` that is none of them. Where there is no such address, or one that cannot be read comes before it,
/// it is that of the peer. IPv4 addresses in the form of IPv6 are told as IPv4.
pub(super) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let trusted = request.app_data::<web::Data<App>>().map_or(&[][..], |app| &app.trusted_proxies);
    if !is_in(trusted, peer) {
        return Some(peer);
    }
    // Several lines of one header are one list (RFC 9110 §5.3). A line that is no text stands for what cannot be read.
    let lines = request.headers().get_all(FORWARDED_FOR).map(|line| line.to_str().unwrap_or_default());
    let lines: Vec<_> = lines.collect();
    Some(foremost(&lines, trusted).unwrap_or(peer))
}

/// The right-most address of the list that is not trusted, if all that is to its right can be read.
fn foremost(lines: &[&str], trusted: &[IpNet]) -> Option<IpAddr> {
    for element in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        // What a trusted proxy could not tell, whoever is before it can tell even less.
        let address = read(element.trim())?;
        if !is_in(trusted, address) {
            return Some(address);
        }
    }
    None
}

fn is_in(ranges: &[IpNet], address: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&address))
}

/// An address, perhaps with a port; one of IPv6 perhaps in brackets, as with a port it must be.
fn read(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets =
        || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    bare().or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "192.0.2.7/32", "2001:db8:1::/48"].map(|range| range.parse().unwrap()).to_vec()
    }

    #[test]
    fn the_right_most_address_that_is_not_trusted_is_the_client() {
        for (lines, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["  203.0.113.9  "], "203.0.113.9"),
            // What a client claims stands to the left of what the first proxy has seen.
            (&["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
            (&["garbage, 203.0.113.9"], "203.0.113.9"),
            (&["<script>,,, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
            (&["203.0.113.9,10.0.0.1,192.0.2.7, 2001:db8:1::5"], "203.0.113.9"),
            (&["198.51.100.1", "203.0.113.9, 10.0.0.1", "10.0.0.2"], "203.0.113.9"),
            // Neighbours of the trusted are not.
            (&["198.51.100.1, 192.0.2.8"], "192.0.2.8"),
            (&["198.51.100.1, 2001:db8:2::5"], "2001:db8:2::5"),
            // Ports, brackets and IPv4 in the form of IPv6.
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["203.0.113.9, 10.0.0.1:80"], "203.0.113.9"),
            (&["2001:DB8::1"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["[::ffff:203.0.113.9]:80"], "203.0.113.9"),
            (&["203.0.113.9, ::ffff:10.0.0.1"], "203.0.113.9"),
            (&["203.0.113.9, [2001:db8:1::5]:443"], "203.0.113.9"),
        ] {
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(foremost(lines, &trusted()), Some(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_list_without_a_client_and_one_that_cannot_be_read_name_nobody() {
        for lines in [
            &[][..],
            &[""],
            &["10.0.0.1"],
            &["10.0.0.1, 10.0.0.2", "192.0.2.7"],
            // Nothing is believed that stands before what cannot be read.
            &["203.0.113.9,"],
            &["203.0.113.9, ,10.0.0.1"],
            &["203.0.113.9, unknown"],
            &["203.0.113.9, _hidden, 10.0.0.1"],
            &["203.0.113.9", ""],
            &["203.0.113.9, 10.0.0.1 10.0.0.2"],
            &["203.0.113.9;10.0.0.1"],
            &["203.0.113.9, 10.0.0.256"],
            &["203.0.113.9, 10.0.0"],
            &["203.0.113.9, 010.0.0.1"],
            &["203.0.113.9, 0x0a000001"],
            &["203.0.113.9, 167772161"],
            &["203.0.113.9, 10.0.0.1:"],
            &["203.0.113.9, 10.0.0.1:99999"],
            &["203.0.113.9, 10.0.0.1/8"],
            &["203.0.113.9, [10.0.0.1]"],
            &["203.0.113.9, [2001:db8:1::5"],
            &["203.0.113.9, [2001:db8:1::5]x"],
            &["203.0.113.9, fe80::1%eth0"],
            &["203.0.113.9, \"10.0.0.1\""],
            &["203.0.113.9, for=10.0.0.1"],
            &["203.0.113.9, proxy.example.com"],
        ] {
            assert_eq!(foremost(lines, &trusted()), None, "{lines:?}");
        }
    }

    #[test]
    fn without_trusted_proxies_every_address_is_a_client() {
        assert_eq!(foremost(&["1.1.1.1, 10.0.0.1"], &[]), "10.0.0.1".parse().ok());
    }
}
