//! The life of a library, by the program a person starts: real files, the real
//! index, the real embedder, and the smallest chat model.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command},
};

use lectern_tests::{Library, program, repository, slice, wait_for};
use serde_json::{Value, json};

fn samples() -> String {
    repository().join("samples").to_str().unwrap().to_owned()
}

fn questions() -> Value {
    let path = repository().join("tests/data/sample_questions.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every hit and citation stands to the letter where it says it stands.
fn assert_literal(library: &Library, places: &Value, words: &str) {
    for place in places.as_array().unwrap() {
        let text = library.text(place["document"].as_str().unwrap());
        assert_eq!(slice(&text, place), place[words].as_str().unwrap(), "{place}");
    }
}

#[test]
fn the_samples_are_read_and_every_question_finds_its_file() {
    let library = Library::new();
    let report = library.json(&["add", &samples(), "--wait"]);
    assert_eq!(
        (report["failed"].as_u64(), report["skipped"].as_u64()),
        (Some(0), Some(0)),
        "{report}"
    );
    assert_eq!(report["added"], report["ready"]);
    let status = library.json(&["status", "--files"]);
    assert_eq!(status["pending"], 0);
    assert_eq!(status["chunks"], status["embedded_chunks"]);
    assert_eq!(status["files"].as_array().unwrap().len() as u64, report["ready"].as_u64().unwrap());

    let questions = questions();
    let mut missed = Vec::new();
    for question in questions["answerable"].as_array().unwrap() {
        let words = question["question"].as_str().unwrap();
        let reply = library.json(&["search", words, "-k", "5"]);
        let expected = Path::new(&samples()).join(question["file"].as_str().unwrap());
        let hit = reply["hits"].as_array().unwrap().iter().find(|hit| {
            hit["document"].as_str().map(Path::new) == Some(&expected)
                && (question["page"].is_null() || hit["page"] == question["page"])
                && hit["text"].as_str().unwrap().contains(question["expected"].as_str().unwrap())
        });
        match hit {
            Some(hit) => {
                assert_literal(&library, &json!([hit]), "text");
                assert_eq!(hit["page"].is_null(), hit["rects"].as_array().unwrap().is_empty());
            }
            None => missed.push(words.to_owned()),
        }
    }
    assert!(missed.is_empty(), "not among the first five: {missed:#?}");
}

#[test]
fn an_answer_has_the_form_of_the_contract_and_literal_quotes() {
    let library = Library::new();
    library.json(&["add", &samples(), "--wait"]);
    let question = "What is the rated flow of the TL-40 bilge pump?";
    let answer = library.json(&["ask", question]);
    assert_eq!(answer["question"], question);
    assert_eq!(answer["standalone_question"], question);
    assert!(answer["abstained"].is_boolean());
    assert!(answer["model"].as_str().unwrap().contains("135m"));
    assert!(answer["tokens"]["prompt"].as_u64().unwrap() > 100);
    assert!(answer["tokens"]["completion"].as_u64().unwrap() > 0);
    for time in ["retrieval", "first_token", "total"] {
        assert!(answer["milliseconds"][time].as_f64().unwrap() > 0., "{time}");
    }
    let passages = answer["passages"].as_array().unwrap();
    assert!(passages.iter().any(|passage| passage["page"] == 2
        && passage["text"].as_str().unwrap().contains("68 litres per minute")));
    let numbers: Vec<u64> =
        answer["citations"].as_array().unwrap().iter().map(|c| c["n"].as_u64().unwrap()).collect();
    for sentence in answer["sentences"].as_array().unwrap() {
        assert!(
            ["supported", "partial", "unsupported", "none"]
                .contains(&sentence["support"].as_str().unwrap())
        );
        for citation in sentence["citations"].as_array().unwrap() {
            assert!(numbers.contains(&citation.as_u64().unwrap()), "{sentence}");
        }
    }
    assert_literal(&library, &answer["citations"], "quote");
    assert_literal(&library, &answer["passages"], "text");

    // The conversation goes on, and without an answer there are the passages.
    let id = answer["conversation"].as_i64().unwrap().to_string();
    let next = library.json(&["ask", "And its weight?", "--conversation", &id]);
    assert_eq!(next["conversation"], answer["conversation"]);
    let found = library.json(&["ask", question, "--no-answer"]);
    assert_eq!(found["answer"], "");
    assert_eq!(found["passages"][0]["document"], answer["passages"][0]["document"]);
}

#[test]
fn words_are_found_while_vectors_are_still_being_made() {
    let library = Library::new();
    let files: Vec<(String, String)> = (0..500)
        .map(|n| {
            let story =
                "The harbour master writes the tide into the log every morning. ".repeat(12);
            (
                format!("notes/{n}.md"),
                format!("# Note {n}\n\nThe code of this note is QX-{n}. {story}"),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = library.folder(&files);
    let mut adding = Running(library.start(&["add", folder.to_str().unwrap(), "--wait"]));
    let status = library
        .wait_for("all files to be searchable by words", |status| status["documents"] == 500);
    let (chunks, embedded) =
        (status["chunks"].as_u64().unwrap(), status["embedded_chunks"].as_u64().unwrap());
    assert!(embedded < chunks, "{status}");
    let found = library.found(&["search", "QX-321", "--mode", "lexical"]);
    assert!(found[0].ends_with("/321.md"), "{found:?}");
    // Hybrid search works on what there is.
    assert!(library.found(&["search", "QX-321"])[0].ends_with("/321.md"));
    adding.0.kill().unwrap();
}

/// A program that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn killed_while_reading_it_goes_on_and_nothing_is_twice() {
    let library = Library::new();
    let files: Vec<(String, String)> = (0..120)
        .map(|n| (format!("{n}.txt"), format!("Lighthouse report {n}. The lamp burned {n} hours.")))
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = library.folder(&files);
    let folder = folder.to_str().unwrap();
    // While reading, then while embedding.
    for wanted in ["documents", "embedded_chunks"] {
        let mut adding = Running(library.start(&["add", folder, "--wait"]));
        library.wait_for("work under way", |status| status[wanted].as_u64() > Some(0));
        adding.0.kill().unwrap();
        adding.0.wait().unwrap();
    }
    let report = library.json(&["add", folder, "--wait"]);
    assert_eq!(report["ready"], 120);
    let status = library.json(&["status"]);
    assert_eq!((&status["pending"], &status["chunks"]), (&json!(0), &json!(120)));
    assert_eq!(status["embedded_chunks"], 120);
    for mode in ["lexical", "semantic", "hybrid"] {
        let reply = library.json(&["search", "lighthouse report", "-k", "1000", "--mode", mode]);
        let hits = reply["hits"].as_array().unwrap();
        let places: HashSet<_> = hits.iter().map(|hit| hit["document"].as_str().unwrap()).collect();
        assert_eq!((hits.len(), places.len()), (120, 120), "{mode}");
    }
}

#[test]
fn bad_files_get_a_reason_and_the_rest_is_fine() {
    let library = Library::new();
    let folder = library.folder(&[
        ("good.md", "# Good\n\nThe wombat sleeps."),
        ("empty.md", ""),
        ("blank.txt", " \n\n "),
        ("broken.pdf", "%PDF-1.7\nthis is no PDF at all"),
        ("broken.docx", "PK\u{3}\u{4} not a zip"),
        ("picture.xyz", "\u{0}\u{1}\u{2}\u{0}\u{fffd}"),
    ]);
    fs::write(folder.join("binary.txt"), [0u8, 159, 146, 150, 0, 1, 2, 0, 0, 255].repeat(50))
        .unwrap();
    let report = library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    assert_eq!(report["ready"], 1, "{report}");
    let status = library.json(&["status", "--files"]);
    for file in status["files"].as_array().unwrap() {
        let name = Path::new(file["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap();
        let expected: &[&str] = match name {
            "good.md" => &["ready"],
            "broken.pdf" | "broken.docx" => &["failed"],
            _ => &["skipped"],
        };
        assert!(expected.contains(&file["state"].as_str().unwrap()), "{file}");
        assert_eq!(file["reason"].is_null(), name == "good.md", "{file}");
    }
    assert_eq!(library.found(&["search", "wombat"]).len(), 1);
}

#[test]
fn what_is_in_an_archive_is_found_by_its_own_path() {
    let library = Library::new();
    let folder = library.folder(&[("plain.md", "The otter is brown.")]);
    let archive = folder.join("shelf.zip");
    let shelf = repository().join("crates/extract/tests/data/shelf.zip");
    fs::copy(shelf, &archive).unwrap();
    let path = |inner: &str| archive.join(inner).to_str().unwrap().to_owned();
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let status = library.json(&["status", "--files"]);
    let states: Vec<(&str, &str)> = status["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            let name = Path::new(file["path"].as_str().unwrap()).strip_prefix(&folder).unwrap();
            (name.to_str().unwrap(), file["state"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("plain.md", "ready"),
        ("shelf.zip", "ready"),
        ("shelf.zip/bad.docx", "failed"),
        ("shelf.zip/inner.zip/badger.txt", "ready"),
        ("shelf.zip/notes/heron.pdf", "ready"),
        ("shelf.zip/notes/otter.md", "ready"),
    ];
    assert_eq!(states, expected);
    let archive = archive.to_str().unwrap();
    let otter = path("notes/otter.md");
    assert_eq!(library.found(&["search", "otter", "--mode", "lexical", "--in", archive]), [otter]);
    let reply = library.json(&["search", "heron weir", "--mode", "lexical", "--type", "pdf"]);
    let hit = &reply["hits"][0];
    assert_eq!(
        (hit["document"].as_str(), hit["page"].as_u64()),
        (Some(&*path("notes/heron.pdf")), Some(1))
    );
    assert_eq!(hit["rects"].as_array().unwrap().len(), 2, "{hit}");
    assert_literal(&library, &reply["hits"], "text");
    assert!(library.run(&["remove", archive]).status.success());
    assert_eq!(library.found(&["search", "badger", "--mode", "lexical"]), [""; 0]);
}

#[test]
fn what_changes_on_the_disk_changes_in_the_library() {
    let library = Library::new();
    let folder = library.folder(&[
        ("a.md", "The alpaca is brown."),
        ("b.md", "The beaver is wet."),
        ("sub/c.md", "The camel is patient."),
    ]);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    assert_eq!(library.found(&["search", "alpaca", "--mode", "lexical"]), [path("a.md")]);

    fs::write(path("a.md"), "The anteater is grey.").unwrap();
    fs::remove_file(path("b.md")).unwrap();
    fs::write(path("d.md"), "The dormouse sleeps.").unwrap();
    fs::rename(path("sub/c.md"), path("sub/moved.md")).unwrap();
    assert!(library.run(&["sync"]).status.success());
    let cases: [(&str, &[&str]); 5] = [
        ("alpaca", &[]),
        ("anteater", &["a.md"]),
        ("beaver", &[]),
        ("dormouse", &["d.md"]),
        ("camel", &["sub/moved.md"]),
    ];
    for (word, names) in cases {
        let expected: Vec<String> = names.iter().map(|name| path(name)).collect();
        assert_eq!(library.found(&["search", word, "--mode", "lexical"]), expected, "{word}");
    }

    // What is removed is gone from the next query, without any other work.
    assert!(library.run(&["remove", &path("sub")]).status.success());
    assert!(library.found(&["search", "camel"]).iter().all(|found| !found.contains("/sub/")));
    assert!(library.run(&["remove", folder.to_str().unwrap()]).status.success());
    assert!(library.found(&["search", "anteater"]).is_empty());
    let again = library.run(&["remove", folder.to_str().unwrap(), "--json"]);
    assert_eq!(again.status.code(), Some(1));
}

#[test]
fn sync_watch_follows_the_disk_and_tells() {
    let library = Library::new();
    let folder = library.folder(&[("a.md", "The first note.")]);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let mut watching = Running(library.start(&["sync", "--watch", "--json"]));
    let mut events = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let mut next_state = |wanted: &dyn Fn(&Value) -> bool| {
        for line in events.by_ref() {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if event["type"] == "library" && wanted(&event["status"]) {
                return;
            }
        }
        panic!("the events ended");
    };
    next_state(&|status| status["documents"] == 1);
    fs::write(folder.join("b.md"), "A quokka smiles.").unwrap();
    next_state(&|status| status["documents"] == 2 && status["embedded_chunks"] == 2);
    assert_eq!(library.found(&["search", "quokka", "--mode", "lexical"]).len(), 1);
    // Another process adds a folder; the one that watches reads it.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("c.md"), "The narwhal dives.").unwrap();
    library.json(&["add", other.path().to_str().unwrap()]);
    next_state(&|status| status["documents"] == 3);
    fs::remove_file(folder.join("b.md")).unwrap();
    next_state(&|status| status["documents"] == 2);
    assert!(library.found(&["search", "quokka", "--mode", "lexical"]).is_empty());
}

#[test]
fn filters_restrict_before_the_search() {
    let library = Library::new();
    let folder = library.folder(&[
        ("one/a.md", "The ferry leaves at noon."),
        ("two/b.txt", "The ferry leaves at dusk."),
    ]);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let one = path("one");
    let cases: [(&[&str], &[&str]); 6] = [
        (&[], &["one/a.md", "two/b.txt"]),
        (&["--in", &one], &["one/a.md"]),
        (&["--type", "txt"], &["two/b.txt"]),
        (&["--type", "pdf,docx"], &[]),
        (&["--since", "2020-01-01"], &["one/a.md", "two/b.txt"]),
        (&["--until", "2020-01-01"], &[]),
    ];
    for (filter, names) in cases {
        let mut arguments = vec!["search", "ferry"];
        arguments.extend(filter);
        let mut found = library.found(&arguments);
        found.sort();
        let expected: Vec<String> = names.iter().map(|name| path(name)).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let library = Library::new();
    let folder = library.folder(&[("a.md", "The ibex climbs."), ("b.md", "The jackal howls.")]);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let lines = [
        json!({"id": "1", "question": "Which animal climbs?"}),
        json!({"id": 2, "question": ""}),
        json!({"id": "3", "question": "jackal", "type": "pdf"}),
        json!({"id": "4", "question": "jackal", "in": [folder.join("b.md")]}),
    ];
    let file = folder.with_file_name("lines.jsonl");
    fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let output = library.run(&["batch", file.to_str().unwrap(), "search", "-k", "1"]);
    assert!(output.status.success());
    let results: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&Value> = results.iter().map(|result| &result["id"]).collect();
    assert_eq!(ids, [&json!("1"), &json!(2), &json!("3"), &json!("4")]);
    assert!(results[0]["hits"][0]["text"].as_str().unwrap().contains("ibex"));
    assert_eq!(results[1]["error"]["code"], "invalid_input");
    assert!(results[2]["hits"].as_array().unwrap().is_empty());
    assert!(results[3]["hits"][0]["text"].as_str().unwrap().contains("jackal"));
}

#[test]
fn mistakes_end_with_a_status_a_code_and_a_hint() {
    let library = Library::new();
    let no_models = tempfile::tempdir().unwrap();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["add", "/no/such/folder"], 1, "not_found"),
        (&["search", "  "], 1, "invalid_input"),
        (&["search", "x", "--since", "soon"], 1, "invalid_input"),
        (&["text", "/no/such/file.pdf"], 1, "not_found"),
        (&["ask", "Why?", "--conversation", "99"], 1, "not_found"),
        (&["search"], 2, ""),
    ];
    for (arguments, status, code) in cases {
        let output = library.command(arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(output.stdout.is_empty());
        if status == 1 {
            let error: Value = serde_json::from_slice(&output.stderr).unwrap();
            assert_eq!(error["error"]["code"], code, "{arguments:?}");
            assert!(!error["error"]["message"].as_str().unwrap().is_empty());
            assert!(!error["error"]["hint"].as_str().unwrap().is_empty(), "{error}");
        }
    }

    // Without any model files, words still find, and an answer says what to do.
    let folder = library.folder(&[("a.md", "The kiwi walks.")]);
    let without = |arguments: &[&str]| {
        library
            .command(arguments)
            .arg("--json")
            .env("LECTERN_MODELS", no_models.path())
            .output()
            .unwrap()
    };
    without(&["add", folder.to_str().unwrap(), "--wait"]);
    let found = without(&["search", "kiwi"]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("a.md"), "{found:?}");
    let asked = without(&["ask", "Which bird walks?"]);
    assert_eq!(asked.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&asked.stderr).unwrap();
    assert_eq!(error["error"]["code"], "model_missing");
    assert!(!without(&["doctor"]).status.success());
}

#[test]
fn ctrl_c_ends_an_answer_at_once_and_keeps_the_library_whole() {
    let library = Library::new();
    library.json(&["add", &samples(), "--wait"]);
    let mut asking = Running(library.start(&["ask", "Tell me everything about the sailing club."]));
    let mut words = asking.0.stdout.take().unwrap();
    // The first word has come: the model is speaking.
    std::io::Read::read_exact(&mut words, &mut [0]).unwrap();
    let interrupt = Command::new("kill").args(["-INT", &asking.0.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let status = asking.0.wait().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(!library.found(&["search", "Heron Cup"]).is_empty());
}

#[test]
fn no_network_is_touched_by_reading_searching_and_asking() {
    let library = Library::new();
    let folder = library.folder(&[("a.md", "The lamp of the lighthouse is green.")]);
    let steps: [&[&str]; 3] = [
        &["add", folder.to_str().unwrap(), "--wait"],
        &["search", "lighthouse"],
        &["ask", "Which colour is the lamp of the lighthouse?"],
    ];
    for step in steps {
        // A network namespace of its own has no interface but an idle loopback.
        let mut isolated = Command::new("unshare");
        isolated.args(["--map-root-user", "--net"]).arg(program("lectern"));
        let output = library.within(isolated, step).arg("--json").output().unwrap();
        assert!(output.status.success(), "{step:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains(if step[0] == "add" {
            "ready"
        } else {
            "a.md"
        }));
    }
}

#[test]
fn a_lost_index_comes_back_by_itself() {
    let library = Library::new();
    let folder = library.folder(&[("a.md", "The marmot whistles."), ("b.md", "The newt swims.")]);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    fs::remove_dir_all(library.path().join("index")).unwrap();
    assert!(library.run(&["sync"]).status.success());
    for mode in ["lexical", "semantic"] {
        let found = library.found(&["search", "marmot", "--mode", mode, "-k", "1"]);
        assert!(found[0].ends_with("a.md"), "{mode}");
    }
    let status = library.json(&["status"]);
    assert_eq!((&status["chunks"], &status["embedded_chunks"]), (&json!(2), &json!(2)));
}

#[test]
fn after_sync_no_process_works_on_the_library() {
    let library = Library::new();
    let names = ["a.md", "b.md", "c.md"];
    let folder = library.folder(&names.map(|name| (name, "The puffin dives.")));
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    for name in names {
        let path = folder.join(name).to_str().unwrap().to_owned();
        // What is left to do goes on in a process of its own.
        assert!(library.run(&["remove", &path]).status.success());
        assert!(library.run(&["sync"]).status.success());
        let working = library.path().join("working.lock");
        let working = fs::File::options().write(true).open(working).unwrap();
        assert!(working.try_lock().is_ok(), "{name}: a process works on it");
        for check in library.json(&["doctor", "--forgotten", &path]).as_array().unwrap() {
            assert_eq!(check["ok"], true, "{name}: {check}");
        }
    }
}

#[test]
fn adding_without_waiting_goes_on_in_the_background() {
    let library = Library::new();
    let folder = library.folder(&[("a.md", "The okapi hides.")]);
    let report = library.json(&["add", folder.to_str().unwrap()]);
    assert_eq!(report["added"], 1);
    library.wait_for("the background process", |status| status["embedded_chunks"] == 1);
    wait_for("the background process to end", || {
        let lock =
            fs::File::options().write(true).open(library.path().join("indexer.lock")).ok()?;
        lock.try_lock().ok()
    });
}
