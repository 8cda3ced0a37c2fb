//! What a search finds and says, by the program a person starts: the real index and the real embedder.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{fs, path::Path};

use lectern_tests::Library;
use serde_json::{Value, json};

const FILES: [(&str, &str); 6] = [
    (
        "rent.md",
        "# Lease\n\nThe tenant pays the rent of 900 euros on the first day of every month.",
    ),
    (
        "ferry.md",
        "# Ferry\n\nThe ferry to the island sails at seven and at noon, except on Sundays.",
    ),
    ("apples.txt", "Apple trees are pruned in February, before the buds swell."),
    ("合同.md", "# 合同\n\n承租人每月第一天支付租金九百欧元。"),
    (
        "copy/rent.md",
        "# Lease\n\nThe tenant pays the rent of 900 euros on the first day of every month!",
    ),
    ("bilge.md", "# Pump\n\nThe TL-40 bilge pump has a rated flow of 68 litres per minute."),
];

const QUERIES: [&str; 7] = [
    "When does the tenant pay?",
    "TL-40",
    "\"seven and at noon\"",
    "租金是多少",
    "Obstbäume schneiden",
    "rent type:md",
    "boats",
];

/// What a program that has just been started finds, by mode and query.
fn all_hits(library: &Library) -> Vec<Value> {
    let lines = QUERIES.map(|query| json!({ "id": query, "question": query }).to_string());
    let replies = ["hybrid", "lexical", "semantic"].map(|mode| batch(library, &lines, mode));
    replies.concat().into_iter().map(|mut reply| reply["hits"].take()).collect()
}

/// The replies to these lines, in order.
fn batch(library: &Library, lines: &[String], mode: &str) -> Vec<Value> {
    let file = library.path().with_file_name("queries.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let output = library.run(&["batch", file.to_str().unwrap(), "search", "--mode", mode]);
    let output = String::from_utf8(output.stdout).unwrap();
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_same_is_found_by_the_next_process_and_while_other_files_wait() {
    let library = Library::new();
    let folder = library.folder(&FILES);
    let folder = folder.to_str().unwrap();
    library.json(&["add", folder, "--wait"]);
    let first = all_hits(&library);
    assert_eq!(first.len(), 3 * QUERIES.len());
    assert!(!first[0].as_array().unwrap().is_empty());
    assert_eq!(all_hits(&library), first);

    library.run(&["pause", folder]);
    library.folder(&[("new.md", "The rent of the ferry is due when the tenant pays.")]);
    assert!(library.run(&["sync"]).status.success());
    let pending = library.json(&["status"])["pending"].as_u64();
    assert!(pending >= Some(1), "{pending:?}");
    assert_eq!(all_hits(&library), first);
}

#[test]
fn odd_queries_have_a_clear_result_or_a_clear_error() {
    let library = Library::new();
    let folder = library.folder(&FILES);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let long = "a".repeat(10_000);
    let page = "the rent of the ferry ".repeat(500);
    // The error's code, or the file that comes first, or neither where any list is right.
    let cases: [(&str, Result<Option<&str>, &str>); 24] = [
        ("", Err("invalid_input")),
        (" \t\n", Err("invalid_input")),
        ("\"\"", Err("invalid_input")),
        ("type:md", Err("invalid_input")),
        ("type:nonsense rent", Err("invalid_input")),
        ("in:copy", Err("invalid_input")),
        ("a", Ok(None)),
        ("租", Ok(Some("合同.md"))),
        (&long, Ok(None)),
        (&page, Ok(None)),
        ("🎉", Ok(None)),
        ("🎉🎉 🚢", Ok(None)),
        ("* ? ( ) [ ] { } ^ ~ \\", Ok(None)),
        ("AND OR NOT", Ok(None)),
        ("+rent -ferry", Ok(None)),
        ("rent AND (tenant", Ok(Some("rent.md"))),
        ("\"tenant pays", Ok(Some("rent.md"))),
        ("tenant pays\"", Ok(Some("rent.md"))),
        ("terms:ferry", Ok(Some("ferry.md"))),
        ("type: ferry", Ok(Some("ferry.md"))),
        ("after:yesterday ferry", Ok(Some("ferry.md"))),
        ("before:2024-99 ferry", Ok(Some("ferry.md"))),
        ("ferry after:1999-01-01", Ok(Some("ferry.md"))),
        ("'; DROP TABLE file; -- ferry", Ok(Some("ferry.md"))),
    ];
    let lines: Vec<String> = (0..)
        .zip(&cases)
        .map(|(id, (query, _))| json!({ "id": id, "question": query }).to_string())
        .collect();
    for mode in ["hybrid", "lexical"] {
        let replies = batch(&library, &lines, mode);
        assert_eq!(replies.len(), cases.len(), "{mode}");
        for (reply, (query, expected)) in replies.iter().zip(&cases) {
            let query: String = query.chars().take(40).collect();
            match expected {
                Err(code) => {
                    assert_eq!(reply["error"]["code"], *code, "{mode} {query:?}: {reply}");
                    assert_ne!(reply["error"]["hint"], "", "{mode} {query:?}: {reply}");
                }
                Ok(first) => {
                    let hits = reply["hits"].as_array();
                    let hits = hits.unwrap_or_else(|| panic!("{mode} {query:?}: {reply}"));
                    if let Some(first) = first {
                        let found = hits.first().and_then(|hit| hit["document"].as_str());
                        let name = found.and_then(|path| Path::new(path).file_name());
                        assert_eq!(name, Some((*first).as_ref()), "{mode} {query:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_search_says_why_a_file_is_not_among_the_hits() {
    let library = Library::new();
    let folder = library.folder(&FILES);
    fs::write(folder.join("broken.pdf"), "%PDF-1.7 and no more").unwrap();
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let cases: [(&[&str], &str, &str); 8] = [
        (&["apples"], "apples.txt", "listed"),
        (&["tenant rent"], "nowhere.md", "not_in_library"),
        (&["tenant rent"], "broken.pdf", "not_read"),
        (&["tenant rent", "--type", "txt"], "rent.md", "filtered_out"),
        (&["tenant rent in:copy"], "rent.md", "filtered_out"),
        (&["\"seven and at noon\""], "rent.md", "not_quoted"),
        (&["When does the ferry sail?", "-k", "1"], "apples.txt", "outranked"),
        (&["ferry", "--mode", "lexical"], "apples.txt", "not_found"),
    ];
    for (arguments, name, reason) in cases {
        let path = folder.join(name);
        let mut arguments: Vec<&str> = arguments.to_vec();
        arguments.insert(0, "search");
        arguments.extend(["--explain", "--why", path.to_str().unwrap()]);
        let reply = library.json(&arguments);
        assert_eq!(reply["why"]["reason"], reason, "{arguments:?}: {}", reply["why"]);
        assert_eq!(reply["why"]["document"], path.to_str().unwrap());
        for hit in reply["hits"].as_array().unwrap() {
            assert!(hit["lexical"]["rank"].is_u64() || hit["semantic"]["rank"].is_u64(), "{hit}");
        }
    }
    let path = folder.join("rent.md");
    let arguments = ["search", "ferry", "-k", "1", "--explain", "--why", path.to_str().unwrap()];
    let told = String::from_utf8(library.run(&arguments).stdout).unwrap();
    assert!(told.contains("by words: no. 1 (BM25"), "{told}");
    assert!(told.contains(&format!("{} comes after", path.display())), "{told}");
    let why = library.json(&[
        "search",
        "ferry",
        "-k",
        "1",
        "--why",
        folder.join("rent.md").to_str().unwrap(),
    ]);
    assert!(why["why"]["semantic"]["rank"].as_u64().unwrap() > 1, "{why}");
    assert_eq!(why["why"]["lexical"], Value::Null, "{why}");
}

#[test]
fn a_search_keeps_to_languages_and_tags() {
    let library = Library::new();
    let folder = library.folder(&[
        ("lease.md", "The tenant pays the rent of 900 euros on the first day of every month."),
        ("miete.md", "Der Mieter zahlt die Miete von 900 Euro am ersten Tag eines jeden Monats."),
        ("合同.md", "承租人每月第一天支付租金九百欧元，不得迟延。"),
        ("old/lease.md", "The tenant paid a rent of 800 euros on the first day of every month."),
    ]);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let tagged = library.json(&["tag", &at("miete.md"), "--add", "Home, tax 2023"]);
    assert_eq!(tagged["tags"], json!(["home", "tax 2023"]));
    library.json(&["tag", &at("old"), "--add", "archive"]);
    library.json(&["tag", &at("old/lease.md"), "--add", "#home"]);
    assert_eq!(
        library.json(&["tag"])["tags"],
        json!([
            { "name": "archive", "files": 1 },
            { "name": "home", "files": 2 },
            { "name": "tax 2023", "files": 1 },
        ])
    );

    let cases: [(&[&str], &[&str]); 10] = [
        (&["900", "--lang", "de"], &["miete.md"]),
        (&["900", "--lang", "de,zh"], &["miete.md", "合同.md"]),
        (&["rent lang:en"], &["lease.md", "old/lease.md"]),
        (&["900", "--tag", "tax 2023"], &["miete.md"]),
        (&["euro tag:\"tax 2023\" tag:home"], &["miete.md"]),
        (&["rent", "--tag", "home"], &["miete.md", "old/lease.md"]),
        (&["rent tag:archive"], &["old/lease.md"]),
        (&["rent tag:archive tag:home lang:en"], &["old/lease.md"]),
        (&["rent tag:archive lang:de"], &[]),
        (&["rent tag:nothing"], &[]),
    ];
    let found = |arguments: &[&str]| {
        let reply = library.json(&[&["search"], arguments].concat());
        let hits = reply["hits"].as_array().unwrap().clone();
        let mut found: Vec<String> = hits
            .iter()
            .map(|hit| Path::new(hit["document"].as_str().unwrap()).strip_prefix(&folder).unwrap())
            .map(|path| path.to_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    for (arguments, expected) in cases {
        assert_eq!(found(arguments), expected, "{arguments:?}");
    }
    let status = library.json(&["status", "--files"]);
    let files = status["files"].as_array().unwrap();
    let miete = files.iter().find(|file| file["path"] == at("miete.md").as_str()).unwrap();
    assert_eq!((&miete["language"], &miete["tags"]), (&json!("de"), &json!(["home", "tax 2023"])));

    // A tag belongs to the path: an edited file keeps it, and a moved one takes it along.
    fs::write(folder.join("miete.md"), "Der Mieter zahlt die Miete von 950 Euro jeden Monat.")
        .unwrap();
    assert!(library.run(&["sync"]).status.success());
    assert_eq!(found(&["Miete tag:home lang:de"]), ["miete.md"]);
    fs::rename(folder.join("miete.md"), folder.join("moved.md")).unwrap();
    assert!(library.run(&["sync"]).status.success());
    assert_eq!(found(&["Miete tag:home lang:de"]), ["moved.md"]);
    library.json(&["tag", &at("moved.md"), "--remove", "home"]);
    assert_eq!(found(&["Miete tag:home lang:de"]), [""; 0]);
    // What is forgotten leaves no tag.
    library.json(&["remove", folder.to_str().unwrap()]);
    assert_eq!(library.json(&["tag"])["tags"], json!([]));
    for wrong in [&["search", "rent", "--lang", "german"][..], &["tag", "/nowhere", "--add", "x"]] {
        assert_eq!(library.run(wrong).status.code(), Some(1), "{wrong:?}");
    }
}

#[test]
fn questions_of_each_language_are_asked_within_the_documents_of_each() {
    let library = Library::new();
    let set = library.folder(&[]).parent().unwrap().join("crossed");
    let files = [
        ("en/rent.md", "The tenant pays the rent on the first day of every month."),
        ("en/ferry.md", "The ferry to the island sails at seven and at noon."),
        ("de/miete.md", "Der Mieter zahlt die Miete am ersten Tag eines jeden Monats."),
        ("de/schiff.md", "Die Fähre zur Insel fährt um sieben und am Mittag."),
    ];
    for (name, text) in files {
        let path = set.join("corpus").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let question = |id: &str, question: &str, lang: &str, file: &str, parallel: &str| {
        json!({
            "id": id, "question": question, "lang": lang, "parallel_id": parallel,
            "relevant": [{ "file": file }],
        })
        .to_string()
    };
    let questions = [
        question("1", "When does the tenant pay the rent?", "en", "en/rent.md", "rent"),
        question("2", "Wann zahlt der Mieter die Miete?", "de", "de/miete.md", "rent"),
        question("3", "When does the ferry sail?", "en", "en/ferry.md", "ferry"),
        question("4", "Wann fährt die Fähre?", "de", "de/schiff.md", "ferry"),
    ];
    fs::write(set.join("queries.jsonl"), questions.join("\n")).unwrap();
    let report = library.json(&["eval", set.to_str().unwrap(), "--across"]);
    assert_eq!(report["all"]["questions"], 8);
    for pair in ["de→de", "de→en", "en→de", "en→en"] {
        let measures = &report["languages"][pair];
        assert_eq!(measures["questions"], 2, "{pair}");
        assert_eq!(measures["top_1"], 1.0, "{pair}: {report}");
    }
}

#[test]
fn an_evaluation_is_saved_and_compared_with_an_earlier_one() {
    let library = Library::new();
    let set = library.folder(&[]).parent().unwrap().join("set");
    fs::create_dir_all(set.join("corpus")).unwrap();
    for (name, text) in FILES.iter().filter(|(name, _)| !name.contains('/')) {
        fs::write(set.join("corpus").join(name), text).unwrap();
    }
    let question = |id: &str, question: &str, lang: &str, file: &str| {
        json!({ "id": id, "question": question, "lang": lang, "relevant": [{ "file": file }] })
            .to_string()
    };
    let questions = [
        question("rent", "When does the tenant pay the rent?", "en", "rent.md"),
        question("租", "承租人什么时候支付租金？", "zh", "合同.md"),
        question("boat", "When does the ferry sail?", "en", "ferry.md"),
    ];
    fs::write(set.join("queries.jsonl"), questions.join("\n")).unwrap();
    let set = set.to_str().unwrap();
    let saved = library.path().parent().unwrap().join("report.json");
    let saved = saved.to_str().unwrap();
    let report = library.json(&["eval", set, "--save", saved]);
    assert_eq!(report["all"]["questions"], 3);
    assert_eq!(report["all"]["top_1"], 1.0, "{report}");
    assert_eq!(report["languages"]["zh"]["questions"], 1);
    for measure in ["ndcg_10", "recall_10", "recall_100", "mrr"] {
        assert_eq!(report["all"][measure], 1.0, "{measure}");
    }
    assert!(report["all"]["p95_ms"].as_f64().unwrap() > 0.0);

    // The languages lie in no folders of their own here, and so cannot be crossed.
    assert_eq!(library.run(&["eval", set, "--across"]).status.code(), Some(1));

    // Another answer is expected now, which is as good as a worse search.
    fs::write(
        Path::new(set).join("queries.jsonl"),
        questions.join("\n").replace("ferry.md", "bilge.md"),
    )
    .unwrap();
    let report = library.json(&["eval", set, "--baseline", saved]);
    assert_eq!(report["compared"]["shared"], 3);
    let worse = report["compared"]["worse"].as_array().unwrap();
    assert_eq!(worse.len(), 1, "{report}");
    assert_eq!((&worse[0]["id"], &worse[0]["before"]), (&json!("boat"), &json!(1)));
    let told = library.run(&["eval", set, "--baseline", saved]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("boat") && told.contains("When does the ferry sail?"), "{told}");
    let missing = library.run(&["eval", set, "--baseline", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(1));
}
