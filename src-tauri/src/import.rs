//! Telling of the end of a long import.

use std::time::{Duration, Instant};

use lectern_app::{App, Status};
use notify_rust::Notification;
use tauri::{AppHandle, Manager};

use crate::words::Words;

/// Nobody turns to something else while less than this goes on.
const LONG: Duration = Duration::from_secs(60);

/// The import that goes on.
#[derive(Default)]
pub struct Import {
    since: Option<Instant>,
}

impl Import {
    /// Takes note of how many files wait to be read, and returns whether a long import has ended.
    fn has_ended(&mut self, pending: u64, now: Instant) -> bool {
        if pending > 0 {
            self.since.get_or_insert(now);
            return false;
        }
        self.since.take().is_some_and(|since| now - since >= LONG)
    }

    /// Tells of the end of a long import, where the person wants that and looks at something else.
    pub fn follow(&mut self, handle: &AppHandle, status: &Status) {
        let ended = self.has_ended(status.pending, Instant::now());
        let wanted = || handle.state::<App>().desktop_settings().is_ok_and(|set| set.notify);
        if !ended || is_looked_at(handle) || !wanted() {
            return;
        }
        let notification = told(&handle.state::<Words>(), status.documents);
        tauri::async_runtime::spawn_blocking(move || {
            if let Err(error) = notification.show() {
                tracing::debug!("the desktop takes no notifications: {error}");
            }
        });
    }
}

/// What is told of an import after which so many documents are ready.
fn told(words: &Words, documents: u64) -> Notification {
    let mut notification = Notification::new();
    notification
        .appname("Lectern")
        .icon("lectern-desktop")
        .summary(&words.say("notify.done", &[]))
        .body(&words.say_many("ask.ready", documents));
    notification
}

fn is_looked_at(handle: &AppHandle) -> bool {
    handle.get_webview_window("main").is_some_and(|window| window.is_focused().unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notification_speaks_the_page_s_language() {
        let words = Words::default();
        let said = |documents| {
            let notification = told(&words, documents);
            (notification.summary, notification.body)
        };
        let done = "Your documents have been read".to_owned();
        assert_eq!(said(1), (done.clone(), "1 document is ready.".to_owned()));
        assert_eq!(said(40), (done, "40 documents are ready.".to_owned()));
        words.speak("zh");
        assert_eq!(said(40).1, "有 40 个文档可供提问。");
    }

    #[test]
    fn only_the_end_of_a_long_import_is_told() {
        let start = Instant::now();
        let mut import = Import::default();
        for (seconds, pending, told) in [
            (0, 0, false),
            (1, 5, false),
            (30, 2, false),
            (40, 0, false),
            (50, 9, false),
            (100, 3, false),
            (110, 0, true),
            (111, 0, false),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(import.has_ended(pending, now), told, "after {seconds} s");
        }
    }
}
