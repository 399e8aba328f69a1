//! Group commit: writes that come at the same time share a transaction, and so one flush to the disk.
//!
//! Each is a savepoint of its own. One that is refused leaves nothing, and the others are committed. If one fails in
//! another way, nothing is committed, and each is done again by itself. If it is the commit that fails, all have failed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::TransactionManager;
use diesel::{Connection, QueryResult};
use tokio::sync::oneshot;

use super::{Conn, begin, commit, explain, on_backend, rollback, transaction};
use crate::error::{Error, Result};

/// Most writes of one transaction. The first of them waits for the last.
const MOST: usize = 64;

/// How long a transaction takes others along. Where the database is slow, a few are enough.
const LONGEST: Duration = Duration::from_millis(100);

/// Writes that wait for a connection.
#[derive(Default)]
pub(super) struct Queue(Mutex<VecDeque<Box<dyn Write>>>);

/// A write, whatever it returns.
trait Write: Send {
    /// Does it within a transaction and keeps what comes of it.
    fn run(&mut self, conn: &mut Conn) -> Outcome;
    /// Does it as a transaction of its own.
    fn run_alone(&mut self, conn: &mut Conn);
    /// Lets nothing come of it but `error`.
    fn fail(&mut self, error: Error);
    /// Whether nobody waits for it any more.
    fn is_forsaken(&self) -> bool;
    /// Tells who waits what came of it.
    fn report(self: Box<Self>);
}

/// Writes that have come to their end, of which nobody has heard yet.
pub(super) struct Served(Vec<Box<dyn Write>>);

impl Served {
    /// Tells everybody who waits what came of it.
    pub(super) fn report(self) {
        self.0.into_iter().for_each(Write::report);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The state of the database, or a rule, is against it.
    Refused,
    /// The database, or we, have failed.
    Failed,
}

struct Waiting<T, F> {
    work: F,
    outcome: Result<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl Queue {
    /// Puts `work` in line. What comes of it arrives when somebody has served the line.
    pub(super) fn push<T, F>(&self, work: F) -> oneshot::Receiver<Result<T>>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let unserved = Err(Error::internal("database", "a write was not served"));
        let mut line = self.lock();
        // Where nobody gets a connection, nobody else clears them away.
        line.retain(|write| !write.is_forsaken());
        line.push_back(Box::new(Waiting { work, outcome: unserved, reply }));
        outcome
    }

    /// Whether nobody is in line.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The next that somebody waits for.
    fn next(&self) -> Option<Box<dyn Write>> {
        let mut line = self.lock();
        line.retain(|write| !write.is_forsaken());
        line.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Box<dyn Write>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what is in line, as much of it as one transaction should hold, and returns what is to be reported.
#[must_use]
pub(super) fn serve(conn: &mut Conn, queue: &Queue) -> Served {
    let Some(mut first) = queue.next() else { return Served(Vec::new()) };
    if queue.is_empty() {
        first.run_alone(conn);
        return Served(vec![first]);
    }
    let mut writes = vec![first];
    if let Err(trouble) = together(conn, queue, &mut writes) {
        roll_back_all(conn);
        let lost = trouble.filter(|error| !error.is_passing()).map(|error| explain(conn, error));
        for write in writes.iter_mut().filter(|write| !write.is_forsaken()) {
            match &lost {
                Some(error) => write.fail(error.clone()),
                None => write.run_alone(conn),
            }
        }
    }
    Served(writes)
}

/// Does `writes`, which holds the first, and those that are taken along in one transaction. Fails with what the
/// transaction failed with, or with nothing if it was one of the writes.
fn together(conn: &mut Conn, queue: &Queue, writes: &mut Vec<Box<dyn Write>>) -> Result<(), Option<Error>> {
    let in_all = |result: QueryResult<()>| result.map_err(|error| Some(Error::from(error)));
    let begun = Instant::now();
    in_all(begin(conn))?;
    while let Some(write) = writes.last_mut() {
        in_all(on_backend!(conn, |c| set_savepoint(c)))?;
        match write.run(conn) {
            Outcome::Done => in_all(on_backend!(conn, |c| commit(c)))?,
            Outcome::Refused => in_all(on_backend!(conn, |c| rollback(c)))?,
            Outcome::Failed => return Err(None),
        }
        // Those who are done wait for the others, and so does everybody who wants to write.
        if writes.len() >= MOST || begun.elapsed() >= LONGEST {
            break;
        }
        let Some(next) = queue.next() else { break };
        writes.push(next);
    }
    in_all(on_backend!(conn, |c| commit(c)))
}

/// Ends the transaction, and the savepoint that it may be in. If that fails, the connection is not used again.
fn roll_back_all(conn: &mut Conn) {
    for _ in 0..2 {
        drop(on_backend!(conn, |c| end(c)));
    }
}

fn end<C: Connection>(conn: &mut C) -> QueryResult<()> {
    match C::TransactionManager::transaction_manager_status_mut(conn).transaction_depth() {
        Ok(Some(_)) => rollback(conn),
        _ => Ok(()),
    }
}

/// Within a transaction, another one is a savepoint.
fn set_savepoint<C: Connection>(conn: &mut C) -> QueryResult<()> {
    C::TransactionManager::begin_transaction(conn)
}

impl<T, F> Write for Waiting<T, F>
where
    T: Send,
    F: Fn(&mut Conn) -> Result<T> + Send,
{
    fn run(&mut self, conn: &mut Conn) -> Outcome {
        self.outcome = (self.work)(conn);
        match &self.outcome {
            Ok(_) => Outcome::Done,
            Err(error) if error.is_refusal() => Outcome::Refused,
            Err(_) => Outcome::Failed,
        }
    }

    fn run_alone(&mut self, conn: &mut Conn) {
        self.outcome = transaction(conn, &self.work).map_err(|error| explain(conn, error));
    }

    fn fail(&mut self, error: Error) {
        self.outcome = Err(error);
    }

    fn is_forsaken(&self) -> bool {
        self.reply.is_closed()
    }

    fn report(self: Box<Self>) {
        // Whoever asked may have gone; what was done stays done.
        drop(self.reply.send(self.outcome));
    }
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    use diesel::sql_types::BigInt;

    use super::*;
    use crate::error::Kind;

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }

    fn conn() -> Conn {
        let mut conn = SqliteConnection::establish(":memory:").unwrap();
        conn.batch_execute(
            "PRAGMA foreign_keys = ON; CREATE TABLE rows (number INTEGER PRIMARY KEY);
             CREATE TABLE parts (row INTEGER REFERENCES rows DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
        Conn::Sqlite(conn)
    }

    fn execute(conn: &mut Conn, statement: &str) -> Result<()> {
        Ok(on_backend!(conn, |c| c.batch_execute(statement))?)
    }

    fn insert(conn: &mut Conn, number: usize) -> Result<()> {
        execute(conn, &format!("INSERT INTO rows VALUES ({number})"))
    }

    fn numbers(conn: &mut Conn) -> Vec<i64> {
        let query = diesel::sql_query("SELECT number FROM rows ORDER BY number");
        let rows: Vec<Row> = on_backend!(conn, |c| query.load(c)).unwrap();
        rows.into_iter().map(|row| row.number).collect()
    }

    type Replies = Vec<oneshot::Receiver<Result<usize>>>;

    fn outcomes(replies: Replies) -> Vec<Result<usize>> {
        replies.into_iter().map(|mut reply| reply.try_recv().unwrap()).collect()
    }

    #[test]
    fn each_write_has_its_own_outcome_and_only_what_was_accepted_stays() {
        for faulty in [None, Some(4)] {
            let (mut conn, queue) = (conn(), Queue::default());
            let write = |number: usize| {
                queue.push(move |conn: &mut Conn| {
                    insert(conn, number)?;
                    match number {
                        _ if Some(number) == faulty => Err(Error::internal("test", "a fault")),
                        number if number % 3 == 0 => Err(Error::taken("name")),
                        number => Ok(number),
                    }
                })
            };
            let replies: Replies = (0..10).map(write).collect();
            while !queue.is_empty() {
                serve(&mut conn, &queue).report();
            }
            let outcomes = outcomes(replies);
            for (number, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Ok(value) => assert!(*value == number && number % 3 > 0 && Some(number) != faulty),
                    Err(error) if Some(number) == faulty => assert_eq!(*error.kind(), Kind::Internal),
                    Err(error) => assert!(number % 3 == 0 && *error.kind() != Kind::Internal, "{error:?}"),
                }
            }
            let accepted = outcomes.iter().flatten().map(|number| i64::try_from(*number).unwrap());
            assert_eq!(numbers(&mut conn), accepted.collect::<Vec<_>>());
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn a_write_sees_those_before_it() {
        let (mut conn, queue) = (conn(), Queue::default());
        let count = |conn: &mut Conn| {
            let before = numbers(conn).len();
            insert(conn, before)?;
            Ok(before)
        };
        let replies: Replies = (0..5).map(|_| queue.push(count)).collect();
        serve(&mut conn, &queue).report();
        let seen: Vec<_> = outcomes(replies).into_iter().map(Result::unwrap).collect();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_cannot_be_committed_is_done_by_nobody() {
        let (mut conn, queue) = (conn(), Queue::default());
        let orphan = |conn: &mut Conn| execute(conn, "INSERT INTO parts VALUES (99)").map(|()| 0);
        let replies = vec![queue.push(orphan), queue.push(|conn: &mut Conn| insert(conn, 1).map(|()| 1))];
        serve(&mut conn, &queue).report();
        for outcome in outcomes(replies) {
            assert_eq!(*outcome.unwrap_err().kind(), Kind::Internal);
        }
        assert!(numbers(&mut conn).is_empty());
        let replies = vec![queue.push(|conn: &mut Conn| insert(conn, 2).map(|()| 2))];
        serve(&mut conn, &queue).report();
        assert_eq!(
            outcomes(replies).into_iter().flatten().collect::<Vec<_>>(),
            [2],
            "the connection is sound"
        );
    }

    #[test]
    fn a_write_that_nobody_waits_for_is_not_begun_and_those_beyond_the_most_wait_their_turn() {
        let (mut conn, queue) = (conn(), Queue::default());
        drop(queue.push(|conn: &mut Conn| insert(conn, 1000)));
        let write = |number: usize| queue.push(move |conn: &mut Conn| insert(conn, number).map(|()| number));
        let replies: Replies = (0..=MOST).map(write).collect();
        serve(&mut conn, &queue).report();
        assert_eq!(numbers(&mut conn).len(), MOST);
        assert!(!queue.is_empty());
        serve(&mut conn, &queue).report();
        assert_eq!(outcomes(replies).into_iter().flatten().count(), MOST + 1);
        assert!(queue.is_empty() && !numbers(&mut conn).contains(&1000));
    }

    #[test]
    fn where_writes_are_slow_a_transaction_takes_few_of_them() {
        let (mut conn, queue) = (conn(), Queue::default());
        let slow = |number: usize| {
            queue.push(move |conn: &mut Conn| {
                std::thread::sleep(LONGEST * 2 / 3);
                insert(conn, number).map(|()| number)
            })
        };
        let replies: Replies = (0..4).map(slow).collect();
        serve(&mut conn, &queue).report();
        assert!(numbers(&mut conn).len() <= 2 && !queue.is_empty());
        while !queue.is_empty() {
            serve(&mut conn, &queue).report();
        }
        assert_eq!(outcomes(replies).into_iter().flatten().count(), 4);
    }
}
