//! Many questions, with the models loaded once.

use std::path::Path;

use lectern_app::{
    App, AppError, AskRequest, ErrorCode, Filter, Result, SearchMode, SearchRequest,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::{BatchWhat, DEFAULT_HITS},
    output,
};

/// One line of the input.
#[derive(Debug, Deserialize)]
struct Line {
    question: String,
    #[serde(default, rename = "in")]
    within: OneOrMany,
    #[serde(default, rename = "not_in")]
    without: OneOrMany,
    #[serde(default, rename = "type")]
    kinds: OneOrMany,
    #[serde(default, rename = "language", alias = "lang")]
    languages: OneOrMany,
    #[serde(default, rename = "tag")]
    tags: OneOrMany,
    since: Option<String>,
    until: Option<String>,
    /// The conversation that a question goes on with.
    conversation: Option<i64>,
    /// Only the passages are wanted.
    #[serde(default)]
    no_answer: bool,
}

/// A filter's value as people write it.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Vec<String> {
    fn from(value: OneOrMany) -> Self {
        match value {
            OneOrMany::None => Self::new(),
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// Prints one result for each line of `file`, in order. A line that fails gets
/// its error as the result, and the rest goes on.
pub async fn run(
    app: &App,
    file: &Path,
    what: BatchWhat,
    k: Option<u32>,
    mode: SearchMode,
    cancel: &CancellationToken,
) -> Result<()> {
    let content = std::fs::read_to_string(file).map_err(|error| AppError {
        code: ErrorCode::NotFound,
        message: format!("{} cannot be read: {error}", file.display()),
        hint: "Name a file of JSON lines.".into(),
    })?;
    for (number, line) in content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if cancel.is_cancelled() {
            break;
        }
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        let id = value["id"].clone();
        let result = match serde_json::from_value(value) {
            Ok(line) => one(app, line, what, k, mode, cancel).await,
            Err(error) => Err(AppError {
                code: ErrorCode::InvalidInput,
                message: format!("line {} of {}: {error}", number + 1, file.display()),
                hint: "Each line is a JSON object with `id` and `question`.".into(),
            }),
        };
        let result = result.unwrap_or_else(|error| json!({ "error": error }));
        output::json(&with_id(id, result));
    }
    Ok(())
}

/// The result of the line that has this id. What an answer is kept as, which is its id elsewhere, is
/// `answer_id`.
fn with_id(id: Value, result: Value) -> Value {
    let mut output = json!({ "id": id });
    if let (Some(output), Value::Object(result)) = (output.as_object_mut(), result) {
        output.extend(result.into_iter().map(|(key, value)| match key.as_str() {
            "id" => ("answer_id".to_owned(), value),
            _ => (key, value),
        }));
    }
    output
}

async fn one(
    app: &App,
    line: Line,
    what: BatchWhat,
    k: Option<u32>,
    mode: SearchMode,
    cancel: &CancellationToken,
) -> Result<Value> {
    let filter = Filter {
        within: line.within.into(),
        without: line.without.into(),
        kinds: line.kinds.into(),
        languages: line.languages.into(),
        tags: line.tags.into(),
        since: line.since,
        until: line.until,
    };
    let value = match what {
        BatchWhat::Search => {
            let request =
                SearchRequest { query: line.question, k: k.unwrap_or(DEFAULT_HITS), mode, filter };
            serde_json::to_value(app.search(&request).await?)
        }
        BatchWhat::Ask => {
            let request = AskRequest {
                question: line.question,
                filter,
                k: k.unwrap_or_default(),
                conversation: line.conversation,
                no_answer: line.no_answer,
                ..AskRequest::default()
            };
            serde_json::to_value(app.ask(&request, |_| {}, cancel).await?)
        }
    };
    value.map_err(|error| AppError {
        code: ErrorCode::Internal,
        message: error.to_string(),
        hint: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_the_id_of_its_line() {
        let cases = [
            (json!("q1"), json!({ "hits": [] }), json!({ "id": "q1", "hits": [] })),
            (
                json!(7),
                json!({ "id": 1, "answer": "Ten." }),
                json!({ "id": 7, "answer_id": 1, "answer": "Ten." }),
            ),
            (Value::Null, json!({ "error": {} }), json!({ "id": null, "error": {} })),
        ];
        for (id, result, expected) in cases {
            assert_eq!(with_id(id, result), expected);
        }
    }
}
