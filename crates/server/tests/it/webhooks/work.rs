//! Who does the work: one server or several, that stop or die in the middle of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use meishi_contacts::limits::{
    WEBHOOK_FAILING_TURNS, WEBHOOK_LEASE, WEBHOOK_REQUESTS, WEBHOOK_TURNS,
};
use tokio::{sync::oneshot, time::timeout};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_servers_on_one_database_share_the_work_without_doubling_it() {
    let scene = Scene::new().await;
    let second = Worker::new(scene.second_server().await);
    let mut endpoints = Vec::new();
    for _ in 0..4 {
        let endpoint = Endpoint::answering(&answer(204)).await;
        scene.hook(&endpoint, json!({})).await;
        endpoints.push(endpoint);
    }
    let mut expected = Vec::new();
    for number in 0..10 {
        let id = scene.anna.contact(json!({ "name": format!("{number} a") })).await;
        scene.anna.patch(contact(id), json!({ "name": format!("{number} b") })).await.ok();
        expected.extend([format!("{number} a"), format!("{number} b")]);
    }
    let work = async |worker: &Worker| {
        let mut turns = 0;
        for _ in 0..20 {
            turns += worker.step().await.unwrap();
        }
        turns
    };
    let (first, second) = tokio::join!(work(&scene.worker), work(&second));
    assert!(first + second >= 4, "{first} {second}");
    for endpoint in &mut endpoints {
        let received = endpoint.all_received();
        let mut seen = names(&received);
        for number in 0..10 {
            let place = |end| seen.iter().position(|name| *name == format!("{number} {end}"));
            assert!(place("a") < place("b"), "{seen:?}");
        }
        seen.sort();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn what_a_server_was_at_when_it_died_is_sent_again_under_the_same_id() {
    let scene = Scene::new().await;
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let mut endpoint = Endpoint::start(move |mut visit| {
        let works = switch.load(Ordering::SeqCst);
        async move {
            visit.request().await;
            if !works {
                // It has the message, and the server is gone before it hears so.
                std::future::pending::<()>().await;
            }
            visit.answer(answer(204).as_bytes()).await;
        }
    })
    .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "x" })).await;
    let first = tokio::select! {
        _ = scene.worker.step() => panic!("there was no answer"),
        received = endpoint.received() => received,
    };
    works.store(true, Ordering::SeqCst);
    // Its lease has to end before another one has its turn.
    let second = Worker::new(scene.second_server().await);
    assert_eq!(second.step().await.unwrap(), 0);
    scene.clock.advance(i64::try_from(WEBHOOK_LEASE.as_secs()).unwrap());
    assert_eq!(second.step().await.unwrap(), 1);
    let again = endpoint.received().await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    let log = scene.log(&hook).await;
    assert_eq!((&log[0]["state"], log.len()), (&json!("delivered"), 1));
}

#[tokio::test]
async fn a_deleted_webhook_is_told_nothing_more() {
    let scene = Scene::new().await;
    let endpoint = Endpoint::answering(&answer(500)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.contact(json!({ "name": "x" })).await;
    scene.work().await;
    assert_eq!(endpoint.connections(), 1);
    scene.anna.delete(hook.path("")).await.ok();
    scene.anna.contact(json!({ "name": "y" })).await;
    scene.clock.advance(100_000);
    scene.work().await;
    assert_eq!(endpoint.connections(), 1);
}

#[tokio::test]
async fn a_paused_webhook_waits_and_is_told_what_it_missed() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&endpoint, json!({})).await;
    scene.anna.patch(hook.path(""), json!({ "state": "paused" })).await.ok();
    let id = scene.anna.contact(json!({ "name": "a" })).await;
    scene.rename(id, "b").await;
    assert_eq!(endpoint.connections(), 0);
    scene.anna.patch(hook.path(""), json!({ "state": "enabled" })).await.ok();
    scene.work().await;
    assert_eq!(names(&endpoint.all_received()), ["a", "b"]);
}

#[tokio::test]
async fn what_its_account_does_to_a_webhook_holds_from_the_next_message_on() {
    let scene = Scene::new().await;
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&go);
    let first = Endpoint::start(move |mut visit| {
        let (arrived, gate) = (arrived.clone(), Arc::clone(&gate));
        async move {
            visit.request().await;
            arrived.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            visit.answer(answer(204).as_bytes()).await;
        }
    })
    .await;
    let mut second = Endpoint::answering(&answer(204)).await;
    let hook = scene.hook(&first, json!({})).await;
    for number in 0..30 {
        scene.anna.contact(json!({ "name": number.to_string() })).await;
    }
    let change = async {
        for _ in 0..WEBHOOK_REQUESTS {
            arrivals.recv().await.unwrap();
        }
        scene.anna.patch(hook.path(""), json!({ "url": second.url("/hook") })).await.ok();
        go.add_permits(1000);
    };
    let (turns, ()) = tokio::join!(scene.worker.step(), change);
    assert_eq!(turns.unwrap(), 1);
    assert_eq!(first.connections(), WEBHOOK_REQUESTS, "those that were under way");
    scene.work().await;
    assert_eq!(first.connections(), WEBHOOK_REQUESTS);
    assert_eq!(second.all_received().len(), 30 - WEBHOOK_REQUESTS);
}

/// A worker that runs until it is told to stop.
fn running(scene: &Scene) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let worker = scene.worker.clone();
    let run = tokio::spawn(worker.run(async {
        let _ = stopped.await;
    }));
    (stop, run)
}

#[tokio::test]
async fn a_running_worker_tells_at_once_and_stops_at_once() {
    let scene = Scene::new().await;
    let mut endpoint = Endpoint::answering(&answer(204)).await;
    scene.hook(&endpoint, json!({})).await;
    let (stop, run) = running(&scene);
    for number in 0..3 {
        let name = number.to_string();
        scene.anna.contact(json!({ "name": name })).await;
        let received = timeout(PATIENCE, endpoint.received()).await.unwrap();
        assert_eq!(names(&[received]), [name]);
    }
    stop.send(()).unwrap();
    timeout(PATIENCE, run).await.unwrap().unwrap();
    scene.anna.contact(json!({ "name": "after" })).await;
    assert!(endpoint.all_received().is_empty());
    // Nothing is held back from whoever comes next.
    assert_eq!(Worker::new(scene.app.app.clone()).step().await.unwrap(), 1);
    assert_eq!(names(&endpoint.all_received()), ["after"]);
}

#[tokio::test]
async fn a_request_in_flight_is_finished_and_noted_when_the_server_stops() {
    let scene = Scene::new().await;
    let (go, going) = oneshot::channel::<()>();
    let going = Arc::new(std::sync::Mutex::new(Some(going)));
    let mut endpoint = Endpoint::start(move |mut visit| {
        let going = going.lock().unwrap().take();
        async move {
            visit.request().await;
            if let Some(going) = going {
                let _ = going.await;
            }
            visit.answer(answer(204).as_bytes()).await;
        }
    })
    .await;
    let hook = scene.hook(&endpoint, json!({})).await;
    let (stop, run) = running(&scene);
    let id = scene.anna.contact(json!({ "name": "a" })).await;
    timeout(PATIENCE, endpoint.received()).await.unwrap();
    scene.anna.patch(contact(id), json!({ "name": "b" })).await.ok();
    stop.send(()).unwrap();
    go.send(()).unwrap();
    timeout(PATIENCE, run).await.unwrap().unwrap();
    let log = scene.log(&hook).await;
    assert_eq!(
        log.iter().map(|one| one["state"].as_str().unwrap()).collect::<Vec<_>>().last(),
        Some(&"delivered")
    );
    assert!(endpoint.all_received().is_empty(), "no further request was begun");
}

#[tokio::test]
async fn one_endpoint_that_hangs_does_not_keep_others_waiting() {
    let scene = Scene::new().await;
    let mut hanging = Endpoint::start(|mut visit| async move {
        visit.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut quick = Endpoint::answering(&answer(204)).await;
    scene.hook(&hanging, json!({})).await;
    scene.hook(&quick, json!({})).await;
    let (_stop, run) = running(&scene);
    for number in 0..3 {
        scene.anna.contact(json!({ "name": number.to_string() })).await;
        timeout(Duration::from_secs(5), quick.received()).await.unwrap();
    }
    timeout(PATIENCE, hanging.received()).await.unwrap();
    run.abort();
}

#[tokio::test]
async fn dead_endpoints_of_one_account_keep_no_other_account_waiting() {
    let scene = Scene::new().await;
    let hanging = Endpoint::start(|mut visit| async move {
        visit.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    // More than there are turns, all with something to say.
    for _ in 0..WEBHOOK_TURNS + WEBHOOK_FAILING_TURNS + 20 {
        scene.hook(&hanging, json!({})).await;
    }
    for number in 0..3 {
        scene.anna.contact(json!({ "name": number.to_string() })).await;
    }
    let other = scene.account("Globex").await;
    let eve = other.administrator().await;
    let mut quick = Endpoint::answering(&answer(204)).await;
    let body = json!({ "url": quick.url("/hook"), "events": EVENTS });
    eve.post(WEBHOOKS, body).await.ok();
    let (_stop, run) = running(&scene);
    while hanging.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for number in 0..3 {
        eve.contact(json!({ "name": number.to_string() })).await;
        timeout(Duration::from_secs(4), quick.received()).await.unwrap();
    }
    run.abort();
}
