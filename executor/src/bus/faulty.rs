//! A bus that loses, repeats, delays and reorders what it carries, by a seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use decant_schema::cast::{Cast, Notification};
use decant_schema::id::HostName;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Bus;

/// How often what goes wrong, each from 0 (never) to 1 (always).
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// A message disappears.
    pub lose: f64,
    /// A message arrives twice, the second time possibly late.
    pub repeat: f64,
    /// A message is held back until others have passed it.
    pub delay: f64,
}

/// A bus with faults, around one without.
pub struct FaultyBus {
    inner: Arc<dyn Bus>,
    rates: FaultRates,
    state: Mutex<State>,
}

struct State {
    random: ChaCha8Rng,
    held: Vec<Message>,
}

#[derive(Clone)]
enum Message {
    Cast(Cast),
    Notification(Notification),
}

impl FaultyBus {
    /// A bus that does to `inner`'s messages what the seed says.
    pub fn new(inner: Arc<dyn Bus>, rates: FaultRates, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { inner, rates, state: Mutex::new(State { random, held: Vec::new() }) }
    }

    async fn send(&self, message: Message) {
        for message in self.decide(message) {
            self.deliver(message).await;
        }
    }

    /// What is delivered now: perhaps this message, perhaps one that was held back.
    fn decide(&self, message: Message) -> Vec<Message> {
        let FaultRates { lose, repeat, delay } = self.rates;
        let State { random, held } = &mut *self.state();
        let mut now = Vec::new();
        if random.random_bool(repeat) {
            held.push(message.clone());
        }
        if random.random_bool(delay) {
            held.push(message);
        } else if !random.random_bool(lose) {
            now.push(message);
        }
        if !held.is_empty() && !random.random_bool(delay) {
            now.push(held.swap_remove(random.random_range(0..held.len())));
        }
        now
    }

    async fn deliver(&self, message: Message) {
        match message {
            Message::Cast(cast) => self.inner.cast(cast).await,
            Message::Notification(notification) => self.inner.notify(notification).await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn cast(&self, cast: Cast) {
        self.send(Message::Cast(cast)).await;
    }

    async fn notify(&self, notification: Notification) {
        self.send(Message::Notification(notification)).await;
    }

    async fn next_cast(&self, host: &HostName) -> Cast {
        self.inner.next_cast(host).await
    }

    async fn next_notification(&self) -> Notification {
        self.inner.next_notification().await
    }
}
