//! Whether a request's body was read. One that was refused before has the rest of its body still on
//! the connection, which therefore ends; the answer has to say so.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Whether somebody read a body to its end; nothing is kept of one that has no bytes.
#[derive(Debug)]
pub(crate) struct Read(Option<Arc<AtomicBool>>);

impl Read {
    /// Watches a body from now on.
    pub(crate) fn watch(body: &mut Body) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        let read = Arc::new(AtomicBool::new(false));
        *body = Body::new(Watched { body: std::mem::take(body), read: Arc::clone(&read) });
        Self(Some(read))
    }

    /// Whether nothing of it is left.
    pub(crate) fn to_its_end(&self) -> bool {
        self.0.as_ref().is_none_or(|read| read.load(Ordering::Relaxed))
    }
}

struct Watched {
    body: Body,
    read: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            self.read.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
