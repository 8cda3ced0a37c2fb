//! Making a follow-up question stand alone, so that it can be searched for.

use futures::StreamExt;
use lectern_domain::{
    ChatDelta, ChatMessage, ChatModel, ChatRequest, ChatRole, ErrorCode, ModelError,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::prompt::neutralise;
use crate::terms::Terms;
use crate::{Language, detect_language};

/// One question of a conversation with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// What was asked; the standalone form where there is one.
    pub question: String,
    /// What was answered.
    pub answer: String,
}

/// So many turns before the question are shown to the model.
const TURNS: usize = 2;
/// So many characters of an answer are.
const ANSWER_CHARACTERS: usize = 300;

const REFERRING: &str = " it its he him his she her hers they them their theirs this that these those there then one ones same \
other others such also else former latter previous above more again too instead ";
const REFERRING_CHINESE: &[&str] = &[
    "它", "他", "她", "这", "那", "其", "该", "此", "上述", "前者", "后者", "呢", "还有", "另外",
    "同样", "再", "继续", "刚才",
];

/// Whether the question plainly needs no history: it refers to nothing and names
/// enough to be searched for.
pub fn stands_alone(question: &str) -> bool {
    let lower = question.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let begins_on =
        ["and ", "but ", "or ", "so ", "what about", "how about", "why?", "那么", "为什么？"];
    let refers = words.any(|word| REFERRING.split(' ').any(|other| other == word))
        || REFERRING_CHINESE.iter().any(|word| question.contains(word))
        || begins_on.iter().any(|start| lower.trim_start().starts_with(start));
    let enough = if detect_language(question) == Language::Other { 3 } else { 4 };
    !refers && Terms::of(question).terms.len() >= enough
}

/// How a model is shown what it means that a question stands alone.
struct Examples {
    system: &'static str,
    asked: &'static str,
    answered: &'static str,
    follow_up: &'static str,
    ask: &'static str,
    /// Question, answer, follow-up, and the follow-up standing alone.
    turns: &'static [[&'static str; 4]],
}

const ENGLISH: Examples = Examples {
    system: "Rewrite the last question of a conversation so that it can be understood without the conversation: \
             put what it refers to in the place of words like \"it\" or \"he\", and change nothing else. \
             Keep its language. Write only the question; do not answer it.",
    asked: "Asked",
    answered: "Answered",
    follow_up: "Last question",
    ask: "Rewritten question",
    turns: &[
        [
            "Who built the lighthouse on Brannock Point?",
            "Ida Moss built it.",
            "When was it finished?",
            "When was the lighthouse on Brannock Point finished?",
        ],
        [
            "Which river does the Harrow Bridge cross?",
            "The Harrow Bridge crosses the Senn.",
            "And how long is its middle span?",
            "How long is the middle span of the Harrow Bridge?",
        ],
        [
            "What did Ida Moss study?",
            "She studied civil engineering in Delft.",
            "Where did she work afterwards?",
            "Where did Ida Moss work after studying civil engineering in Delft?",
        ],
    ],
};

const CHINESE: Examples = Examples {
    system: "根据对话，把最后的问题改写成一个不依赖上文也能看懂的问题：把“它”“他”这类词换成所指的名称，其余不变。\
             用原来的语言，只写这个问题，不要回答。",
    asked: "问",
    answered: "答",
    follow_up: "最后的问题",
    ask: "改写后的问题",
    turns: &[
        [
            "白石角灯塔是谁建造的？",
            "由工程师林怀远建造。",
            "它是哪一年建成的？",
            "白石角灯塔是哪一年建成的？",
        ],
        [
            "青川大桥跨过哪条河？",
            "青川大桥跨过沐水。",
            "那么中间一跨有多长？",
            "青川大桥的中间一跨有多长？",
        ],
        [
            "林怀远学的是什么专业？",
            "他学的是土木工程。",
            "他后来在哪里工作？",
            "林怀远后来在哪里工作？",
        ],
    ],
};

/// The messages that ask for the standalone form of `question`. The examples before it are always
/// the same, so that what is computed for them can be kept.
pub fn messages(history: &[Turn], question: &str) -> Vec<ChatMessage> {
    let examples = match detect_language(question) {
        Language::Chinese => &CHINESE,
        _ => &ENGLISH,
    };
    let Examples { system, asked, answered, follow_up, ask, turns } = examples;
    let turn = |question: &str, answer: &str| {
        let answer: String = answer.chars().take(ANSWER_CHARACTERS).collect();
        format!("{asked}: {}\n{answered}: {}\n", neutralise(question), neutralise(&answer))
    };
    let last = |question: &str| format!("{follow_up}: {}\n{ask}:", neutralise(question));
    let message = |role, content| ChatMessage { role, content };
    let mut messages = vec![message(ChatRole::System, (*system).to_owned())];
    for [question, answer, next, rewritten] in *turns {
        messages.push(message(ChatRole::User, turn(question, answer) + &last(next)));
        messages.push(message(ChatRole::Assistant, (*rewritten).to_owned()));
    }
    let before = &history[history.len().saturating_sub(TURNS)..];
    let before: String = before.iter().map(|it| turn(&it.question, &it.answer)).collect();
    messages.push(message(ChatRole::User, before + &last(question)));
    messages
}

/// Reads the model's reply: its first line, without quotes and labels. A reply
/// that cannot be a rewritten question (empty, much longer than what it was made
/// of, in another script, without anything of the question or the history, or without
/// anything that the question did not say before) gives way to the previous question
/// followed by this one.
pub fn parse(reply: &str, history: &[Turn], question: &str) -> String {
    let question = question.trim();
    let Some(previous) = history.last().map(|turn| turn.question.trim()) else {
        return question.to_owned();
    };
    let line = reply.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let labels = ["rewritten question", "standalone question", "question", "改写后的问题", "问题"];
    let line = match line.split_once([':', '：']) {
        Some((label, rest)) if labels.contains(&label.trim().to_lowercase().as_str()) => rest,
        _ => line,
    };
    let line = line.trim().trim_matches(['"', '“', '”', '「', '」', '*', '`']).trim();
    let length = |text: &str| text.chars().count();
    let asked = Terms::of(&format!(
        "{previous} {question} {}",
        history.last().map_or("", |turn| turn.answer.as_str())
    ));
    let terms = Terms::of(line);
    let known = terms.terms.iter().filter(|term| asked.keys.contains(&term.key)).count();
    let said = Terms::of(question).keys;
    let adds = terms.terms.iter().any(|term| !said.contains(&term.key));
    let plausible = length(line) <= 4 * length(question).max(length(previous))
        && known * 2 >= terms.terms.len()
        && known > 0
        && adds
        && detect_language(line) == detect_language(question);
    if plausible { line.to_owned() } else { format!("{previous} {question}") }
}

/// The standalone form of `question`. The model is asked only if there is a
/// history and the question does not stand alone already.
pub async fn standalone_question(
    model: &dyn ChatModel,
    history: &[Turn],
    question: &str,
    cancel: &CancellationToken,
) -> Result<String, ModelError> {
    if history.is_empty() || stands_alone(question) {
        return Ok(question.trim().to_owned());
    }
    let request = ChatRequest {
        messages: messages(history, question),
        max_tokens: 64,
        temperature: 0.0,
        sources: None,
    };
    let reply = async {
        let mut stream = model.generate(request).await?;
        let mut reply = String::new();
        while let Some(delta) = stream.next().await {
            match delta? {
                ChatDelta::Text(text) => reply.push_str(&text),
                ChatDelta::Done(_) => break,
            }
            // The first line is all that is read.
            if reply.trim_start().contains('\n') {
                break;
            }
        }
        Ok(reply)
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ModelError::new(
            ErrorCode::Cancelled,
            "The question was cancelled.",
            "Ask again when you like.",
        )),
        reply = reply => Ok(parse(&reply?, history, question)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::ScriptedModel;

    fn history() -> Vec<Turn> {
        vec![Turn {
            question: "What is the rent of the flat in Oak Street?".to_owned(),
            answer: "It is 900 euros. [1]".to_owned(),
        }]
    }

    #[test]
    fn knows_questions_that_need_no_history() {
        let cases = [
            ("Who signed the lease for the house in Elm Road?", true),
            ("And when is it due?", false),
            ("Why?", false),
            ("What about Elm Road?", false),
            ("How high is the deposit?", false),
            ("合同的违约金是多少元？", true),
            ("那么它什么时候到期？", false),
        ];
        for (question, expected) in cases {
            assert_eq!(stands_alone(question), expected, "{question}");
        }
    }

    #[test]
    fn reads_a_reply_or_falls_back() {
        let both = "What is the rent of the flat in Oak Street? And when is it due?";
        let cases = [
            ("When is the rent of the flat due?", "When is the rent of the flat due?"),
            ("\n \"When is the rent due?\"\nIt is due in May.", "When is the rent due?"),
            ("Rewritten question: When is the rent due?", "When is the rent due?"),
            ("", both),
            ("  \n ", both),
            ("And when is it due?", both),
            ("Penguins live in Antarctica and swim well.", both),
            ("租金什么时候到期？", both),
        ];
        for (reply, expected) in cases {
            assert_eq!(parse(reply, &history(), "And when is it due?"), expected, "{reply:?}");
        }
        let long = format!("When is the rent due{}?", " in the rent of the flat".repeat(20));
        assert_eq!(parse(&long, &history(), "And when is it due?"), both);
        assert_eq!(parse("anything", &[], " Why? "), "Why?");
    }

    #[tokio::test]
    async fn asks_the_model_only_for_follow_ups() {
        let model = ScriptedModel::new(&["When is the ", "rent due?\n", "never read"]);
        let cancel = CancellationToken::new();
        let alone = standalone_question(&model, &[], "And when?", &cancel).await.unwrap();
        assert_eq!(alone, "And when?");
        assert!(model.requests().is_empty());
        let rewritten =
            standalone_question(&model, &history(), "And when is it due?", &cancel).await.unwrap();
        assert_eq!(rewritten, "When is the rent due?");
        let requests = model.requests();
        assert!(
            requests[0].messages[7]
                .content
                .ends_with("Last question: And when is it due?\nRewritten question:")
        );
        cancel.cancel();
        let cancelled =
            standalone_question(&model, &history(), "And when is it due?", &cancel).await;
        assert_eq!(cancelled.unwrap_err().code, ErrorCode::Cancelled);
    }
}
