//! A connection that nobody can hold for ever: each thing that a client does on it has its time.
//!
//! actix-http has a limit for the head of the first request alone. A client that sends the second one byte by byte, or
//! that does not read its answer, would keep connection and memory as long as it likes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What a client gets whose head does not arrive in time (RFC 9110 §15.5.9).
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// What the client of a connection is about.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Sends a head, or should send its first one.
    Head(Instant),
    /// Waits for an answer.
    Request,
    /// Was answered just now.
    Answered,
    /// Has nothing to ask.
    Idle(Instant),
}

/// How far a connection is: what its stream sees and what its requests tell.
#[derive(Debug)]
pub(super) struct Pace {
    phase: Cell<Phase>,
    /// Since when the client has not taken all of the present answer.
    blocked: Cell<Option<Instant>>,
}

/// A request under way. Its end is the beginning of the time for the next one.
#[derive(Debug)]
pub(super) struct UnderWay(Rc<Pace>);

impl UnderWay {
    pub(super) fn begin(pace: &Rc<Pace>) -> Self {
        pace.phase.set(Phase::Request);
        pace.blocked.set(None);
        Self(Rc::clone(pace))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.phase.set(Phase::Answered);
    }
}

/// How long each phase may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) head: Duration,
    pub(super) answer: Duration,
    pub(super) idle: Duration,
}

/// A stream that ends when its client takes too long.
pub(super) struct Connection<T> {
    io: T,
    times: Times,
    pace: Rc<Pace>,
    reading: Alarm,
    writing: Alarm,
    /// Whether the last writing had to wait.
    waits: bool,
    over: bool,
}

impl<T> Connection<T> {
    pub(super) fn new(io: T, times: Times) -> Self {
        let pace = Pace { phase: Cell::new(Phase::Head(Instant::now())), blocked: Cell::new(None) };
        Self {
            io,
            times,
            pace: Rc::new(pace),
            reading: Alarm::default(),
            writing: Alarm::default(),
            waits: false,
            over: false,
        }
    }

    pub(super) fn pace(&self) -> Rc<Pace> {
        Rc::clone(&self.pace)
    }
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    /// Whether the time of the present phase is up. If not, the task is woken when it may be.
    fn is_up(&mut self, cx: &mut Context<'_>) -> bool {
        match self.pace.phase.get() {
            Phase::Request => false,
            Phase::Answered => {
                let now = Instant::now();
                self.pace.phase.set(Phase::Idle(now));
                self.reading.is_past(now + self.times.idle, cx)
            }
            Phase::Idle(since) => self.reading.is_past(since + self.times.idle, cx),
            Phase::Head(since) => {
                if !self.reading.is_past(since + self.times.head, cx) {
                    return false;
                }
                if self.waits {
                    // The next request waits for the client to read the last answer, which has a time of its own.
                    let now = Instant::now();
                    self.pace.phase.set(Phase::Head(now));
                    return self.reading.is_past(now + self.times.head, cx);
                }
                // As much of it as goes at once: nobody waits for this client any more.
                let _ = Pin::new(&mut self.io).poll_write(cx, TOO_SLOW);
                let _ = Pin::new(&mut self.io).poll_flush(cx);
                true
            }
        }
    }

    /// Lets what waits for the client to read wait so long and no longer.
    fn limited<R>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        self.waits = outcome.is_pending();
        if self.waits {
            let since = self.pace.blocked.get().unwrap_or_else(Instant::now);
            self.pace.blocked.set(Some(since));
            if self.writing.is_past(since + self.times.answer, cx) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        outcome
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_pending() {
            // The end of the stream: what is still to be sent is sent, and then it is closed.
            this.over = this.is_up(cx);
            return if this.over { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        if buf.filled().len() > before && matches!(this.pace.phase.get(), Phase::Idle(_) | Phase::Answered) {
            this.pace.phase.set(Phase::Head(Instant::now()));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.limited(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        if matches!(this.pace.phase.get(), Phase::Answered) {
            // Nothing is read before something comes, so this is where the wait for it begins.
            this.is_up(cx);
        }
        this.limited(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.io).poll_shutdown(cx);
        this.limited(cx, shut)
    }
}

/// Wakes a task. It is set again only when it has rung or must ring earlier, so that a request costs no timer.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether this moment has come. If not, the task will be woken then, or before.
    fn is_past(&mut self, moment: Instant, cx: &mut Context<'_>) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(moment)));
        if sleep.deadline() > moment {
            sleep.as_mut().reset(moment);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= moment {
                return true;
            }
            sleep.as_mut().reset(moment);
        }
        false
    }
}
