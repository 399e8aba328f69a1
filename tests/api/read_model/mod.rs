//! Nodes that answer from memory, held against one that asks the database every time.
//!
//! `PROPTEST_CASES` sets how many histories are tried.

mod case;
mod ledger;
mod load;
mod steps;
mod views;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use case::World;
use steps::{Step, Write, step};

/// How many histories there are, and how long the longest one is.
const HISTORIES: u32 = 6;
const STEPS: usize = 24;

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").map_or(HISTORIES, |text| text.parse().unwrap());
    // A history is tried on running servers, and one that never ends well takes all the patience there is.
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        max_shrink_time: 90_000,
        ..Config::default()
    }
}

#[test]
fn whatever_is_written_a_node_answers_as_the_database_does_at_once_where_it_was_written_and_soon_elsewhere() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(World::start([&[], &[]]));
    let number = AtomicUsize::new(0);
    let histories = prop::collection::vec(step(), 1..=STEPS);
    let outcome = TestRunner::new(config()).run(&histories, |steps| {
        let name = format!("case-{}", number.fetch_add(1, SeqCst));
        runtime.block_on(history(&world, &name, &steps)).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Takes the steps one after the other, after some that give each org something to begin with.
async fn history(world: &World, name: &str, steps: &[Step]) -> Result<(), String> {
    let mut case = world.case(name).await;
    for org in 0..case.orgs.len() {
        for write in Write::first() {
            case.send(org, org, &write).await?;
            case.learn(org).await;
        }
        case.settle(org).await?;
    }
    for step in steps {
        case.take(step).await?;
    }
    for org in 0..case.orgs.len() {
        case.learn(org).await;
        case.settle(org).await?;
    }
    Ok(())
}
