//! The place of the one chat model that is loaded: exchanged while the program runs, and
//! emptied when nobody has asked for long.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lectern_domain::{ModelError, Source};
use lectern_kernels::release_freed_memory;

/// What is loaded by a choice.
pub type Loaded<T> = Result<Arc<T>, ModelError>;

type Loading<T> = std::pin::Pin<Box<dyn Future<Output = Loaded<T>> + Send>>;

/// How long the old model is waited for before the new one is loaded beside it. An answer that
/// is being written ends sooner.
const FAREWELL: Duration = Duration::from_secs(30);
/// How often it is looked whether the old one is gone: nothing tells.
const LOOK: Duration = Duration::from_millis(10);

/// Which model it is, for the face of a [`Slot`].
pub trait Choice: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// The model's identity.
    fn id(&self) -> &str;
}

/// Holds at most one thing that is loaded, by a choice that may change. The old one is let go
/// before the new one is loaded, since memory may not suffice for both.
pub struct Slot<T: ?Sized, C> {
    load: Box<dyn Fn(C) -> Loading<T> + Send + Sync>,
    state: Mutex<State<T, C>>,
    /// Held by the one who loads.
    turn: tokio::sync::Mutex<()>,
}

struct State<T: ?Sized, C> {
    choice: C,
    loaded: Option<(C, Arc<T>)>,
    /// What was let go and may still be used by an answer.
    leaving: Vec<Weak<T>>,
    used: Instant,
}

impl<T: ?Sized + Send + Sync, C: Choice> Slot<T, C> {
    /// Nothing is loaded before it is asked for.
    pub fn new<F>(choice: C, load: impl Fn(C) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Loaded<T>> + Send + 'static,
    {
        let used = Instant::now();
        Self {
            load: Box::new(move |choice| Box::pin(load(choice))),
            state: Mutex::new(State { choice, loaded: None, leaving: Vec::new(), used }),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// What would be loaded.
    pub fn choice(&self) -> C {
        self.state().choice.clone()
    }

    /// Chooses what the next call loads. What is loaded by another choice is let go at once; an
    /// answer that uses it keeps it to its end.
    pub fn choose(&self, choice: C) {
        let mut state = self.state();
        if state.loaded.as_ref().is_some_and(|(of, _)| *of != choice) {
            state.let_go();
        }
        state.choice = choice;
    }

    /// Lets go of what is loaded. The next call loads it again.
    pub fn release(&self) {
        self.state().let_go();
    }

    /// Whether something is loaded.
    pub fn is_loaded(&self) -> bool {
        self.state().loaded.is_some()
    }

    /// Whether somebody uses what is loaded, or what was.
    pub fn is_used(&self) -> bool {
        let mut state = self.state();
        state.forget_the_gone();
        state.in_use() || !state.leaving.is_empty()
    }

    /// Lets go of what nobody has used for so long, and gives the memory of what is gone back to
    /// the system. Returns whether something was let go. To be called now and then.
    pub fn release_idle(&self, idle: Duration) -> bool {
        let mut state = self.state();
        let in_use = state.in_use();
        if in_use {
            state.used = Instant::now();
        }
        let release = state.loaded.is_some() && !in_use && state.used.elapsed() >= idle;
        if release {
            state.let_go();
        }
        if state.forget_the_gone() {
            // Its parts end on threads of their own, some a moment later.
            release_freed_memory();
        }
        release
    }

    fn state(&self) -> MutexGuard<'_, State<T, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was let go is gone, but not for ever.
    async fn old_is_gone(&self) {
        let start = Instant::now();
        loop {
            {
                let mut state = self.state();
                state.forget_the_gone();
                if state.leaving.is_empty() {
                    break;
                }
            }
            if start.elapsed() > FAREWELL {
                tracing::warn!("the old model is still in use; the new one is loaded beside it");
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        release_freed_memory();
    }
}

impl<T: ?Sized, C> State<T, C> {
    fn let_go(&mut self) {
        if let Some((_, old)) = self.loaded.take() {
            self.leaving.push(Arc::downgrade(&old));
        }
    }

    fn in_use(&self) -> bool {
        self.loaded.as_ref().is_some_and(|(_, model)| Arc::strong_count(model) > 1)
    }

    /// Returns whether one has gone since the last call.
    fn forget_the_gone(&mut self) -> bool {
        let before = self.leaving.len();
        self.leaving.retain(|old| old.strong_count() > 0);
        self.leaving.len() < before
    }
}

#[async_trait]
impl<T: ?Sized + Send + Sync, C: Choice> Source<T> for Slot<T, C> {
    fn id(&self) -> String {
        self.state().choice.id().to_owned()
    }

    /// What the choice loads. A failure is not kept: the next call tries again.
    async fn get(&self) -> Loaded<T> {
        let _turn = self.turn.lock().await;
        loop {
            let choice = {
                let mut state = self.state();
                state.used = Instant::now();
                if let Some((_, model)) = &state.loaded {
                    return Ok(Arc::clone(model));
                }
                state.choice.clone()
            };
            self.old_is_gone().await;
            let model = (self.load)(choice.clone()).await?;
            let mut state = self.state();
            state.used = Instant::now();
            if state.choice == choice {
                state.loaded = Some((choice, Arc::clone(&model)));
                return Ok(model);
            }
            // Another one was chosen while this one was loaded.
            state.leaving.push(Arc::downgrade(&model));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use lectern_domain::ErrorCode;
    use tokio::sync::Notify;

    use super::*;

    impl Choice for &'static str {
        fn id(&self) -> &str {
            self
        }
    }

    /// How many models there are, and how many there were at most.
    #[derive(Default)]
    struct Memory {
        now: AtomicUsize,
        most: AtomicUsize,
        loads: AtomicUsize,
    }

    struct Model {
        name: &'static str,
        memory: Arc<Memory>,
    }

    impl Drop for Model {
        fn drop(&mut self) {
            self.memory.now.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn slot(first: &'static str) -> (Arc<Memory>, Slot<Model, &'static str>) {
        let memory = Arc::<Memory>::default();
        let of = memory.clone();
        let slot = Slot::new(first, move |name| {
            let memory = of.clone();
            async move {
                memory.loads.fetch_add(1, Ordering::SeqCst);
                if name == "broken" {
                    return Err(ModelError::new(ErrorCode::ModelInvalid, "it is broken", ""));
                }
                let now = memory.now.fetch_add(1, Ordering::SeqCst) + 1;
                memory.most.fetch_max(now, Ordering::SeqCst);
                Ok(Arc::new(Model { name, memory: memory.clone() }))
            }
        });
        (memory, slot)
    }

    #[tokio::test]
    async fn a_model_is_loaded_once_and_there_is_one_at_a_time() {
        let (memory, slot) = slot("one");
        assert!(!slot.is_loaded());
        for round in 0..10 {
            let name = ["one", "other"][round % 2];
            slot.choose(name);
            assert_eq!(slot.id(), name);
            for _ in 0..3 {
                assert_eq!(slot.get().await.unwrap().name, name);
            }
        }
        assert_eq!(memory.loads.load(Ordering::SeqCst), 10);
        assert_eq!(memory.most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_answer_keeps_its_model_and_the_new_one_waits_for_its_end() {
        let (memory, slot) = slot("one");
        let slot = Arc::new(slot);
        let answering = slot.get().await.unwrap();
        slot.choose("other");
        let next = tokio::spawn({
            let slot = slot.clone();
            async move { slot.get().await.unwrap().name }
        });
        tokio::task::yield_now().await;
        assert!(slot.is_used() && !slot.is_loaded());
        assert_eq!(answering.name, "one");
        drop(answering);
        assert_eq!(next.await.unwrap(), "other");
        assert_eq!(memory.most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_choice_that_changes_while_it_is_loaded_counts() {
        let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (started.clone(), go_on.clone());
        let slot: Arc<Slot<String, &'static str>> = Arc::new(Slot::new("one", move |name| {
            let (tell, wait) = (tell.clone(), wait.clone());
            async move {
                if name == "one" {
                    tell.notify_one();
                    wait.notified().await;
                }
                Ok(Arc::new(name.to_owned()))
            }
        }));
        let got = tokio::spawn({
            let slot = slot.clone();
            async move { slot.get().await.unwrap() }
        });
        started.notified().await;
        slot.choose("other");
        go_on.notify_one();
        assert_eq!(*got.await.unwrap(), "other");
    }

    #[tokio::test]
    async fn an_idle_model_leaves_the_memory_and_comes_back() {
        let (memory, slot) = slot("one");
        let answering = slot.get().await.unwrap();
        assert!(!slot.release_idle(Duration::ZERO), "it is in use");
        drop(answering);
        assert!(!slot.release_idle(Duration::from_secs(3600)), "it was used just now");
        assert!(slot.release_idle(Duration::ZERO));
        assert_eq!(memory.now.load(Ordering::SeqCst), 0);
        assert_eq!(slot.get().await.unwrap().name, "one");
    }

    #[tokio::test]
    async fn a_failure_leaves_the_slot_as_good_as_before() {
        let (_, slot) = slot("broken");
        assert_eq!(slot.get().await.err().unwrap().code, ErrorCode::ModelInvalid);
        slot.choose("one");
        assert_eq!(slot.get().await.unwrap().name, "one");
    }
}
