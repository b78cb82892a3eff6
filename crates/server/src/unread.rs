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

/// Whether somebody read a body to its end.
#[derive(Debug, Clone)]
pub(crate) struct Read(Arc<AtomicBool>);

impl Read {
    /// Watches a body.
    pub(crate) fn watch(body: Body) -> (Body, Self) {
        let read = Self(Arc::new(AtomicBool::new(body.is_end_stream())));
        if read.to_its_end() {
            return (body, read);
        }
        (Body::new(Watched { body, read: read.clone() }), read)
    }

    /// Whether nothing of it is left.
    pub(crate) fn to_its_end(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Watched {
    body: Body,
    read: Read,
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
            self.read.0.store(true, Ordering::Relaxed);
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
