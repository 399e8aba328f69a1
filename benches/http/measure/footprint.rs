//! What the service takes: time to start, memory, and bytes of its binary.

use std::time::Instant;

use super::creates::count;
use super::{Bench, Data, Tuning};
use crate::Result;
use crate::client::Client;
use crate::load::Request;
use crate::row::{Row, Section, Target, Unit};

pub(super) fn start(bench: &Bench, all: &[Data]) -> Result<Section> {
    let mut rows = Vec::new();
    for data in all {
        let org = data.started.first()?;
        let key = org.keys.first().ok_or("an org without keys")?;
        let request = Request::get(format!("/api/v1/hook-keys/{}", key.id), &org.token);
        let mut spans = Vec::new();
        // The first start finds nothing in the caches of the system, and is not counted.
        for number in 0..=bench.plan.starts {
            let start = Instant::now();
            let server = bench.serve(&data.started, &Tuning::default())?;
            Client::connect(&server.address)?.send(&request)?;
            if number > 0 {
                spans.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        let what = format!("start to first answer, {}", data.engine.name());
        rows.push(Row::median(what, &spans, Unit::Milliseconds, Some(Target::AtMost(150.0))));
    }
    let keys = all.first().map_or(0, |data| data.started.keys());
    Ok(Section {
        title: "Start".to_owned(),
        how: format!(
            "From the start of the process to the end of the first answer to an authenticated request, on a database of \
             {keys} keys: the median of {}. The request is sent as soon as the server has printed its address.",
            bench.plan.starts
        ),
        rows,
        notes: Vec::new(),
    })
}

/// `after_reading` is the memory of each engine's server that has read all of many keys.
pub(super) fn memory(bench: &Bench, all: &[Data], after_reading: &[f64]) -> Result<Section> {
    let mut rows = Vec::new();
    for (data, after) in all.iter().zip(after_reading) {
        let idle = bench.serve_at_rest(&data.few, &Tuning::default())?.resident()?;
        let name = data.engine.name();
        let what = format!("memory, idle with one org, {name}");
        rows.push(Row::single(what, idle, Unit::Megabytes, Some(Target::AtMost(30.0))));
        let what = format!("memory, {} keys read, {name}", data.many.keys());
        rows.push(Row::single(what, *after, Unit::Megabytes, Some(Target::AtMost(300.0))));
    }
    Ok(Section {
        title: "Memory".to_owned(),
        how: "Resident memory (`VmRSS`) in MB of a million bytes: of a server with one org when its pool is full and \
              nothing goes on, and of a server after every key, list and public key of the large database has been \
              read once."
            .to_owned(),
        rows,
        notes: Vec::new(),
    })
}

pub(super) fn size(bench: &Bench) -> Result<Section> {
    let bytes = usize::try_from(std::fs::metadata(&bench.product)?.len())?;
    let target = Some(Target::AtMost(20.0));
    Ok(Section {
        title: "Size".to_owned(),
        how: "The binary of a release build, in MB of a million bytes.".to_owned(),
        rows: vec![Row::single("release binary", count(bytes) / 1e6, Unit::Megabytes, target)],
        notes: Vec::new(),
    })
}
