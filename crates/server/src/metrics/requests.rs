//! The series of requests. Which series a request counts in is told by three labels; to put them
//! together and look it up among all metrics costs more than to count, so what was found is kept.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use metrics::{Counter, Histogram};

/// The series that were counted in so far, by route. There are no more than routes, known methods
/// and statuses allow, since nothing in the labels is a caller's own word.
#[derive(Default)]
pub(crate) struct Requests(RwLock<HashMap<String, Vec<Series>>>);

/// The requests of a route that had one method and were answered with one status.
struct Series {
    method: &'static str,
    status: u16,
    answered: Counter,
    seconds: Histogram,
}

impl Requests {
    /// Counts an answered request, and the time that it took. `route` is a template of the router,
    /// never a path.
    pub(crate) fn count(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let is_of = |series: &&Series| series.method == method && series.status == status;
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(series) = known.get(route).and_then(|all| all.iter().find(is_of)) {
                series.count(took);
                return;
            }
        }
        let series = Series::new(method, route, status);
        series.count(took);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let all = known.entry(route.to_owned()).or_default();
        // Another request may have been faster.
        if !all.iter().any(|series| is_of(&series)) {
            all.push(series);
        }
    }
}

impl Series {
    fn new(method: &'static str, route: &str, status: u16) -> Self {
        let labels = [
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", status.to_string()),
        ];
        Self {
            method,
            status,
            answered: metrics::counter!("meishi_http_requests_total", &labels),
            seconds: metrics::histogram!("meishi_http_request_seconds", &labels),
        }
    }

    fn count(&self, took: Duration) {
        self.answered.increment(1);
        self.seconds.record(took);
    }
}
