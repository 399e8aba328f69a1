//! How long it takes to seal many values anew, and what requests wait meanwhile.

use std::time::{Duration, Instant};

use crate::copy::measure::fill;
use crate::harness::keys::small_key;
use crate::harness::process::{Dev, on, stdout};

const KEYS: usize = 10_000;

#[tokio::test]
#[ignore = "measures; scripts/test --long runs it"]
async fn ten_thousand_values_are_sealed_anew_while_requests_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fill(&data, KEYS);
    let dev = Dev::start(&data, &[]);
    stdout(&on(&data, &["keyring", "rotate"]));
    let place = data.clone();
    let resealing = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        (stdout(&on(&place, &["keyring", "reseal"])), begun.elapsed())
    });
    let client = dev.client();
    let (mut longest, mut writes) = (Duration::ZERO, 0);
    while !resealing.is_finished() {
        let begun = Instant::now();
        client.create_key(small_key(&format!("n{writes}"))).await;
        longest = longest.max(begun.elapsed());
        writes += 1;
    }
    let (said, took) = resealing.await.unwrap();
    assert_eq!(said, format!("{KEYS} value(s) sealed anew under term 2, 0 left under older terms\n"));
    eprintln!("{KEYS} values: {took:?}; {writes} writes meanwhile, the longest {longest:?}");
}
