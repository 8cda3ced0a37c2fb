//! Links that the system or a second start hands over.

use std::sync::{Mutex, PoisonError};

use lectern_app::AppEvent;
use tauri::{AppHandle, Manager};

use crate::{show, tell};

const SCHEME: &str = "lectern:";

/// The link that waits for the page to follow it. A later one takes its place.
#[derive(Default)]
pub struct Waiting(Mutex<Option<String>>);

impl Waiting {
    /// The link that waits, which then waits no more.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, arguments: impl IntoIterator<Item = String>) -> bool {
        let Some(link) = arguments.into_iter().find(|word| word.starts_with(SCHEME)) else {
            return false;
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
        true
    }
}

/// Has the page follow the link among the words of a command line, if there is one. What it leads
/// to is decided by the application, which knows passages of the library only.
pub fn follow(handle: &AppHandle, arguments: impl IntoIterator<Item = String>) {
    if handle.state::<Waiting>().put(arguments) {
        show(handle);
        tell(handle, &AppEvent::Link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_waits_until_it_is_taken_and_the_latest_counts() {
        let waiting = Waiting::default();
        let words = |words: &[&str]| waiting.put(words.iter().map(|word| (*word).to_owned()));
        assert!(!words(&["lectern-desktop", "--with-session", "/a/lectern:"]));
        assert_eq!(waiting.take(), None);
        assert!(words(&["lectern-desktop", "lectern://open?document=/a"]));
        assert!(words(&["lectern-desktop", "lectern://open?document=/b"]));
        assert_eq!(waiting.take().as_deref(), Some("lectern://open?document=/b"));
        assert_eq!(waiting.take(), None);
    }
}
