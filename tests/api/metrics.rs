//! What the process tells of itself on its second port, and what the dashboard makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::process::{Dev, complaint, hook_keys};
use crate::harness::service::Service;
use crate::harness::{hook, http_channel, path_of, path_of_hook};

const KEYS: &str = "/api/v1/hook-keys";
const LISTEN: (&str, &str) = ("HOOK_KEYS_METRICS_LISTEN", "127.0.0.1:0");

/// Where a server tells its metrics, by its log.
fn metrics_of(dev: &Dev) -> String {
    let log = dev.log_text();
    let (_, after) = log.split_once("metrics are told on ").unwrap();
    after.split_once("/metrics").unwrap().0.to_owned()
}

/// The lines of an answer of `/metrics`: every sample by its name and labels.
struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(base: &str) -> Self {
        let response = reqwest::get(format!("{base}/metrics")).await.unwrap();
        assert_eq!(response.status(), 200);
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let text = response.text().await.unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Self { samples: samples.collect(), text: text.clone() }
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {}", self.text))
    }

    fn requests(&self, route: &str, method: &str, status: u16) -> f64 {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        self.samples.get(&format!("hook_keys_http_requests_total{{{labels}}}")).copied().unwrap_or_default()
    }

    /// The families, by what their lines of `HELP` say.
    fn families(&self) -> BTreeMap<String, String> {
        let helps = self.text.lines().filter_map(|line| line.strip_prefix("# HELP "));
        helps
            .map(|help| {
                let (name, text) = help.split_once(' ').unwrap();
                (name.to_owned(), text.to_owned())
            })
            .collect()
    }

    /// The names of the samples, without labels.
    fn names(&self) -> BTreeSet<String> {
        self.samples.keys().map(|sample| sample.split('{').next().unwrap().to_owned()).collect()
    }
}

/// A server on which everything has happened that there is a metric for.
async fn busy(directory: &Path) -> (Dev, String) {
    let more = [
        LISTEN,
        ("HOOK_KEYS_POOL_SIZE", "4"),
        ("HOOK_KEYS_RATE_LIMITS_FAILED_LOGINS", "3"),
        ("HOOK_KEYS_TRUSTED_PROXIES", "127.0.0.1"),
        ("HOOK_KEYS_OUTBOUND_TIMEOUT", "60s"),
        ("HOOK_KEYS_CACHE_MAX_ROWS", "100000"),
    ];
    let dev = Dev::start_in(&directory.join("data"), &[], &more);
    let client = dev.client();
    let key = client.create("a").await;
    for _ in 0..3 {
        client.get(&path_of(&key)).await.expect(200);
    }
    client.get("/api/v1/hook-keys/none").await.expect(404);
    client.get("/api/v1/caller-chose-this").await.expect(404);
    client.get("/keys/caller-chose-that").await.expect(404);
    client.get("/keys/caller-chose-that/").await.expect(404);
    client.delete(KEYS).await.expect(405);
    let brewed = client.request(Method::from_bytes(b"BREW").unwrap(), KEYS).send().await.unwrap();
    assert_eq!(brewed.status(), 405);
    let service = Service::answering(json!({}));
    let made = client.create_hook(hook("h", http_channel(&service.base))).await;
    client.post(&format!("{}/execute", path_of_hook(&made)), json!({})).await.expect(200);
    for number in 0..5 {
        let wrong = crate::harness::Client::new(&dev.base, Some(&format!("SSWS 00{number:040}")));
        let request = wrong.request(Method::GET, KEYS).header("X-Forwarded-For", "203.0.113.9");
        let status = request.send().await.unwrap().status();
        assert_eq!(status, if number < 3 { 401 } else { 429 });
    }
    let base = metrics_of(&dev);
    (dev, base)
}

#[tokio::test]
async fn every_request_is_counted_by_its_route_and_nothing_that_callers_chose_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (dev, base) = busy(directory.path()).await;
    let scrape = Scrape::of(&base).await;
    for (route, method, status, expected) in [
        ("/api/v1/hook-keys", "POST", 200, 1.0),
        ("/api/v1/hook-keys/{id}", "GET", 200, 3.0),
        ("/api/v1/hook-keys/{id}", "GET", 404, 1.0),
        ("/keys/{key}", "GET", 404, 2.0),
        ("/api/v1/hook-keys", "DELETE", 405, 1.0),
        ("/api/v1/hook-keys", "other", 405, 1.0),
        ("/api/v1/hook-keys", "GET", 401, 3.0),
        ("/api/v1/hook-keys", "GET", 429, 2.0),
        ("/api/v1/inlineHooks/{id}/execute", "POST", 200, 1.0),
    ] {
        assert_eq!(scrape.requests(route, method, status), expected, "{route} {method} {status}");
    }
    let labels = "route=\"/api/v1/hook-keys/{id}\",method=\"GET\"";
    let took = |part: &str| scrape.value(&format!("hook_keys_http_request_duration_seconds_{part}"));
    assert_eq!(took(&format!("count{{{labels}}}")), 4.0);
    assert_eq!(took(&format!("bucket{{le=\"+Inf\",{labels}}}")), 4.0);
    assert!(took(&format!("sum{{{labels}}}")) > 0.0);
    assert_eq!(scrape.value("hook_keys_http_requests_in_flight"), 0.0);
    for hidden in ["caller-chose", "BREW", dev.token.as_str(), "00T", "HKY", "203.0.113.9", "default"] {
        assert!(!scrape.text.contains(hidden), "{hidden}: {}", scrape.text);
    }
}

#[tokio::test]
async fn what_goes_on_beside_the_requests_is_told_too() {
    let directory = tempfile::tempdir().unwrap();
    let (dev, base) = busy(directory.path()).await;
    let scrape = Scrape::of(&base).await;
    let count = |sample: &str, least: f64| {
        assert!(scrape.value(sample) >= least, "{sample}: {}", scrape.text);
    };
    assert_eq!(scrape.value("hook_keys_ready"), 1.0);
    assert_eq!(scrape.value("hook_keys_pool_target"), 4.0);
    assert_eq!(scrape.value("hook_keys_failed_logins_total"), 3.0);
    assert_eq!(scrape.value("hook_keys_rate_limited_requests_total{limit=\"failed_logins\"}"), 2.0);
    assert_eq!(scrape.value("hook_keys_rate_limited_requests_total{limit=\"requests\"}"), 0.0);
    assert_eq!(scrape.value("hook_keys_database_failures_total"), 0.0);
    let called = "hook_keys_outbound_call_duration_seconds_count{step=\"hook\",outcome=\"answered\"}";
    assert_eq!(scrape.value(called), 1.0);
    // The key was asked for three times, and read once.
    count("hook_keys_cache_lookups_total{kind=\"answer\",outcome=\"hit\"}", 2.0);
    count("hook_keys_cache_lookups_total{kind=\"answer\",outcome=\"miss\"}", 1.0);
    count("hook_keys_cache_lookups_total{kind=\"token\",outcome=\"hit\"}", 5.0);
    count("hook_keys_cache_entries{kind=\"token\"}", 1.0);
    count("hook_keys_pool_generation_duration_seconds_count{alg=\"RSA\"}", 1.0);
    for work in ["read", "write", "wait"] {
        count(&format!("hook_keys_database_duration_seconds_count{{work=\"{work}\"}}"), 1.0);
    }
    count("process_resident_memory_bytes", 1_000_000.0);
    // The only token was used just now, and lives for 30 days after that.
    assert_eq!(scrape.value("hook_keys_tokens_ending_soon"), 0.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        scrape.value(&format!("hook_keys_build_info{{version=\"{version}\",database=\"sqlite\"}}")),
        1.0
    );
    drop(dev);
}

#[tokio::test]
async fn tokens_that_end_within_a_week_are_counted_and_no_others() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = crate::harness::Server::start().await;
    server.org("acme").await;
    let week = 7 * DAY;
    let ending = async || server.tokens.ending_within(week).await.unwrap();
    assert_eq!(ending().await, 0, "30 days from its making");
    server.token("acme", &["all"], Some(DAY)).await;
    server.token("acme", &["all"], Some(week)).await;
    server.token("acme", &["all"], Some(week + Duration::from_secs(1))).await;
    let (revoked, _) = server.token("acme", &["all"], Some(DAY)).await;
    server.tokens.revoke(revoked).await.unwrap();
    assert_eq!(ending().await, 2);
    let (_, used) = server.token("acme", &["all"], None).await;
    server.clock.advance(23 * DAY);
    // The others have ended; the two that have not been used for 23 days end in 7.
    assert_eq!(ending().await, 2);
    server.with_authorization(Some(&format!("SSWS {used}"))).get(KEYS).await.expect(200);
    server.tokens.flush_uses().await.unwrap();
    assert_eq!(ending().await, 1);
}

#[tokio::test]
async fn the_second_port_tells_health_and_nothing_else_and_there_is_none_unless_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(&directory.path().join("data"), &[], &[LISTEN]);
    let base = metrics_of(&dev);
    let get = async |path: &str| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, json!({ "status": "alive" })));
    let checks = ["database", "refresher", "keyring", "pool"].map(|check| (check, json!({ "status": "ok" })));
    let checks: serde_json::Map<_, _> = checks.into_iter().map(|(name, is)| (name.to_owned(), is)).collect();
    assert_eq!(get("/readyz").await, (200, json!({ "status": "ready", "checks": checks })));
    for path in [KEYS, "/keys", "/", "/openapi.yaml"] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    // The first port has no metrics.
    dev.client().get("/metrics").await.expect(404);
    let alone = Dev::start(&directory.path().join("alone"), &[]);
    assert!(!alone.log_text().contains("metrics are told"));
    // A port that is taken stops the start, and says whose.
    let taken = base.strip_prefix("http://").unwrap();
    let mut command = hook_keys();
    command.args(["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path().join("other"));
    let output = command.env("HOOK_KEYS_METRICS_LISTEN", taken).output().unwrap();
    assert!(complaint(&output).contains(&format!("metrics.listen: {taken} cannot be listened on")));
    assert_eq!(dev.terminate(), Some(0));
}

#[tokio::test]
async fn the_dashboard_shows_every_metric_there_is_and_none_that_there_is_not() {
    let dashboard = std::fs::read_to_string(format!("{}/grafana/hook-keys.json", env!("CARGO_MANIFEST_DIR")));
    let dashboard: Value = serde_json::from_str(&dashboard.unwrap()).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let shown: BTreeSet<String> = expressions
        .iter()
        .flat_map(|expression| expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("hook_keys_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let (_dev, base) = busy(directory.path()).await;
    let scrape = Scrape::of(&base).await;
    let names = scrape.names();
    let unknown: Vec<_> = shown.difference(&names).collect();
    assert!(unknown.is_empty(), "the dashboard asks for {unknown:?}");
    let docs = include_str!("../../docs/METRICS.md");
    for (family, help) in scrape.families() {
        assert!(help.len() > 10, "{family} has no help");
        assert!(shown.iter().any(|name| name.starts_with(&family)), "{family} is on no panel");
        assert!(docs.contains(&format!("`{family}")), "{family} is not in docs/METRICS.md");
    }
    // Every sample belongs to a family with a help.
    let families = scrape.families();
    for name in names {
        assert!(families.keys().any(|family| name.starts_with(family.as_str())), "{name} has no HELP");
    }
}
