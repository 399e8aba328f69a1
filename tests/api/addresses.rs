//! Where a request comes from: what the log says of it.

use reqwest::Method;

use crate::harness::process::Dev;

/// Sends a request with this `X-Forwarded-For`, and tells the address in its line of the log.
async fn logged(dev: &Dev, path: &str, forwarded_for: &[&str]) -> String {
    let request = dev.client().request(Method::GET, path);
    let request =
        forwarded_for.iter().fold(request, |request, line| request.header("X-Forwarded-For", *line));
    request.send().await.unwrap();
    let log = dev.log_text();
    let line = log.lines().find(|line| line.contains(path)).unwrap();
    let address = line.split(" address=").nth(1).unwrap();
    address.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_proxy_tells_the_address_of_the_client_and_nobody_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let trusting = [("HOOK_KEYS_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")];
    let dev = Dev::start_in(&directory.path().join("trusting"), &[], &trusting);
    for (path, forwarded_for, expected) in [
        ("/first", &[][..], "127.0.0.1"),
        ("/second", &["203.0.113.9"], "203.0.113.9"),
        ("/third", &["198.51.100.1, 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        ("/fourth", &["198.51.100.1", "[2001:db8::9]:443", "10.0.0.1"], "2001:db8::9"),
        ("/fifth", &["203.0.113.9, unknown"], "127.0.0.1"),
        ("/sixth", &["203.0.113.9, \u{e9}"], "127.0.0.1"),
    ] {
        assert_eq!(logged(&dev, path, forwarded_for).await, expected, "{forwarded_for:?}");
    }
    let dev = Dev::start(&directory.path().join("alone"), &[]);
    assert_eq!(logged(&dev, "/first", &["203.0.113.9"]).await, "127.0.0.1");
}
