//! Creates: from a full pool, and when there is none.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::{KeyPair, KeySize};

use super::{Bench, Data, Tuning};
use crate::Result;
use crate::client::Client;
use crate::load::{Load, Request};
use crate::plan::CREATORS;
use crate::rounds::{Rounds, percentile};
use crate::row::{Row, Section, Target, Unit};

const PATH: &str = "/api/v1/hook-keys";

pub(super) fn from_full_pool(bench: &Bench, all: &[Data]) -> Result<Section> {
    let (plan, mut rows) = (&bench.plan, Vec::new());
    for data in all {
        let server =
            bench.serve(&data.written, &Tuning { pool_size: Some(plan.pool), ..Tuning::default() })?;
        let org = data.written.first()?;
        let (mut middle, mut slow) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            server.rest()?;
            let mut client = Client::connect(&server.address)?;
            let mut latencies = Vec::with_capacity(plan.creates);
            for number in 0..plan.creates {
                let body = format!(r#"{{"name":"full-{round}-{number}"}}"#);
                let request = Request::with_body("POST", PATH, &org.token, &body);
                let start = Instant::now();
                client.send(&request)?;
                latencies.push(start.elapsed().as_secs_f64() * 1e3);
            }
            middle.push(percentile(&latencies, 50));
            slow.push(percentile(&latencies, 99));
        }
        let name = data.engine.name();
        rows.push(Row::median(
            format!("create from a full pool, p50, {name}"),
            &middle,
            Unit::Milliseconds,
            Some(Target::AtMost(3.0)),
        ));
        rows.push(Row::median(
            format!("create from a full pool, p99, {name}"),
            &slow,
            Unit::Milliseconds,
            Some(Target::AtMost(10.0)),
        ));
    }
    Ok(Section {
        title: "Creates from a full pool".to_owned(),
        how: format!(
            "One client creates {} keys, one after the other, on one connection. The pool holds {} key pairs and is \
             full at the start of each round: the harness waits until the server uses no processor time. While the \
             round runs, the server restocks. Percentiles are those of one round, and the median of the rounds is \
             shown. The latencies are measured by the harness itself, from the first byte sent to the last byte \
             received: wrk cannot stop after a number of requests.",
            plan.creates, plan.pool
        ),
        rows,
        notes: Vec::new(),
    })
}

pub(super) fn without_pool(bench: &Bench, all: &[Data]) -> Result<Section> {
    let data = all.first().ok_or("no database")?;
    let plan = &bench.plan;
    let server = bench.serve_at_rest(&data.written, &Tuning { pool_size: Some(0), ..Tuning::default() })?;
    let token = &data.written.first()?.token;
    let create = Request::with_body("POST", PATH, token, r#"{"name":"{n}"}"#);
    let load = Load::new(&bench.work, "create", &[create], CREATORS)?;
    load.run(&server, plan.warm_up, "drained-warm-up")?;
    server.rest()?;
    let rounds = Rounds::interleave(
        plan.rounds,
        |round| {
            let outcome = load.run(&server, plan.long_seconds, &format!("drained-{round}"))?;
            // Keys that nobody waits for any more are still made.
            server.rest()?;
            Ok(outcome.rate())
        },
        |_| generate(Duration::from_secs(plan.long_seconds)),
    )?;
    let what = format!("create without a pool, {}", data.engine.name());
    Ok(Section {
        title: "Creates without a pool".to_owned(),
        how: format!(
            "Keys created per second over {CREATORS} connections with a pool of size 0, so that every key pair is made \
             on demand. The reference is aws-lc-rs alone, generating RSA key pairs of 2048 bits on one thread a core. \
             Rounds take {} s, because one key pair takes many times as long as another. Each pair that a round began and \
             did not end is lost to it, on both sides.",
            plan.long_seconds
        ),
        rows: vec![Row::ratio(what, &rounds, Unit::PerSecond, Some(Target::AtLeast(0.90)))],
        notes: Vec::new(),
    })
}

/// Key pairs a second that the library makes on all cores.
fn generate(span: Duration) -> Result<f64> {
    let (made, deadline) = (AtomicUsize::new(0), Instant::now() + span);
    let work = || -> Result<()> {
        loop {
            KeyPair::generate(KeySize::Rsa2048)?;
            if Instant::now() > deadline {
                return Ok(());
            }
            made.fetch_add(1, Ordering::Relaxed);
        }
    };
    on_all_cores(work)?;
    Ok(count(made.into_inner()) / span.as_secs_f64())
}

/// Runs `work` once for each core.
pub(super) fn on_all_cores(work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked")?)
    })
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "far below the 53 bits that are exact")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}
