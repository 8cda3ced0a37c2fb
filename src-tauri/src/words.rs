//! The page's messages, for what is said outside of it: the tray and notifications.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

type Messages = HashMap<String, String>;

/// The messages in the language that the page is shown in.
pub struct Words(Mutex<Messages>);

impl Default for Words {
    fn default() -> Self {
        Self(Mutex::new(messages("en")))
    }
}

fn messages(language: &str) -> Messages {
    let file = match language {
        "zh" => include_str!("../../ui/src/lib/messages/zh.json"),
        _ => include_str!("../../ui/src/lib/messages/en.json"),
    };
    serde_json::from_str(file).unwrap_or_default()
}

impl Words {
    /// Speaks `en` or `zh` from now on.
    pub fn speak(&self, language: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = messages(language);
    }

    /// The message of this key, with `{name}` replaced by each value of that name.
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = messages.get(key).map_or(key, String::as_str).to_owned();
        values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// As [`Words::say`], with the form for so many; `{count}` is their number.
    pub fn say_many(&self, key: &str, count: u64) -> String {
        let form = if count == 1 { "one" } else { "other" };
        self.say(&format!("{key}.{form}"), &[("count", &count.to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_s_messages_are_spoken() {
        let words = Words::default();
        assert_eq!(words.say_many("ask.ready", 1), "1 document is ready.");
        assert_eq!(words.say_many("ask.ready", 3), "3 documents are ready.");
        words.speak("zh");
        assert_eq!(words.say("tray.open", &[]), "打开 Lectern");
        words.speak("en");
        for key in ["tray.open", "tray.quit", "folders.pause", "folders.resume", "notify.done"] {
            assert_ne!(words.say(key, &[]), key);
        }
    }
}
