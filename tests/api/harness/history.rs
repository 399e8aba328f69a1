//! What clients did and saw, and whether one service that never forgets could have answered so.
//!
//! A write that was not acknowledged may have happened at any time after it was sent, or never.

use std::collections::BTreeMap;
use std::time::Instant;

/// One thing a client did to a register, which holds one value or none.
#[derive(Debug, Clone)]
pub struct Event {
    pub register: usize,
    pub action: Action,
    pub sent: Instant,
    /// When the answer came; `None` for a write without one.
    pub done: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Every value is written once.
    Write(String),
    Read(Option<String>),
}

/// Everything that cannot be, one sentence each.
pub fn contradictions(events: &[Event]) -> Vec<String> {
    let mut by_register = BTreeMap::<usize, Vec<&Event>>::new();
    for event in events {
        by_register.entry(event.register).or_default().push(event);
    }
    by_register.into_iter().flat_map(|(register, events)| of_register(register, &events)).collect()
}

fn of_register(register: usize, events: &[&Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut reads: Vec<(&Event, Option<&Event>)> = Vec::new();
    let writes = || events.iter().filter(|event| matches!(event.action, Action::Write(_)));
    for read in events {
        let Action::Read(value) = &read.action else { continue };
        let Some(value) = value else {
            reads.push((read, None));
            continue;
        };
        match writes().find(|write| write.action == Action::Write(value.clone())) {
            None => wrong.push(format!("register {register}: {value} was read and never written")),
            Some(write) if read.done.is_some_and(|done| done < write.sent) => {
                wrong.push(format!("register {register}: {value} was read before it was written"));
            }
            Some(write) => reads.push((read, Some(write))),
        }
    }
    for (read, source) in &reads {
        // A later value was there for certain before the read was sent.
        let newer = writes().find(|newer| follows(source.as_deref(), newer) && ended_before(newer, read));
        if let Some(newer) = newer {
            let (old, new) = (&read.action, &newer.action);
            wrong.push(format!("register {register}: {old:?} came after {new:?} had been acknowledged"));
        }
        let earlier = reads.iter().find(|(earlier, seen)| {
            ended_before(earlier, read) && seen.is_some_and(|seen| follows(source.as_deref(), seen))
        });
        if let Some((earlier, _)) = earlier {
            let (old, new) = (&read.action, &earlier.action);
            wrong.push(format!("register {register}: {old:?} came after {new:?} had been read"));
        }
    }
    wrong
}

/// Whether a write came after another for certain; after none, every write did.
fn follows(first: Option<&Event>, second: &Event) -> bool {
    first.is_none_or(|first| ended_before(first, second))
}

fn ended_before(first: &Event, second: &Event) -> bool {
    first.done.is_some_and(|done| done < second.sent)
}

mod tests {
    use std::time::Duration;

    use super::{Action, Event, contradictions};

    /// A history of one register: each event with the moments it was sent and answered at.
    fn verdict(events: &[(&str, u64, Option<u64>)]) -> usize {
        let zero = std::time::Instant::now();
        let at = |moment| zero + Duration::from_secs(moment);
        let event = |(what, sent, done): &(&str, u64, Option<u64>)| {
            let action = match what.split_once(' ').unwrap() {
                ("write", value) => Action::Write(value.to_owned()),
                (_, "nothing") => Action::Read(None),
                (_, value) => Action::Read(Some(value.to_owned())),
            };
            Event { register: 0, action, sent: at(*sent), done: done.map(at) }
        };
        contradictions(&events.iter().map(event).collect::<Vec<_>>()).len()
    }

    #[test]
    fn what_one_service_could_have_answered_is_no_contradiction() {
        let (first, second) = (("write a", 1, Some(2)), ("write b", 3, Some(4)));
        assert_eq!(verdict(&[("read nothing", 0, Some(1)), first, second, ("read b", 5, Some(6))]), 0);
        // While a write is under way both may be seen, and so may one that was never answered, or nothing of it.
        assert_eq!(
            verdict(&[first, ("write b", 3, Some(9)), ("read b", 4, Some(5)), ("read b", 6, Some(7))]),
            0
        );
        assert_eq!(
            verdict(&[first, ("write b", 3, Some(9)), ("read a", 4, Some(5)), ("read b", 6, Some(7))]),
            0
        );
        assert_eq!(
            verdict(&[first, ("write b", 3, None), ("read a", 50, Some(51)), ("read b", 60, Some(61))]),
            0
        );
        // Two writes at once end in either order.
        assert_eq!(verdict(&[("write a", 1, Some(5)), ("write b", 2, Some(4)), ("read a", 6, Some(7))]), 0);
    }

    #[test]
    fn what_no_service_that_remembers_could_have_answered_is_found() {
        let (first, second) = (("write a", 1, Some(2)), ("write b", 3, Some(4)));
        assert_eq!(verdict(&[first, second, ("read a", 5, Some(6))]), 1, "an acknowledged write was lost");
        assert_eq!(verdict(&[first, ("read nothing", 3, Some(4))]), 1, "the first one too");
        assert_eq!(verdict(&[first, ("read c", 3, Some(4))]), 1, "a value from nowhere");
        assert_eq!(verdict(&[("read a", 0, Some(1)), ("write a", 2, Some(3))]), 1, "a value from the future");
        let unknown = ("write b", 3, None);
        let back = [first, unknown, ("read b", 4, Some(5)), ("read a", 6, Some(7))];
        // `b` may come at any time, so only who has seen it knows that `a` is gone.
        assert_eq!(verdict(&back), 1, "time went back");
    }
}
