//! Which crate may know which. A dependency that is not in the table is a mistake.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// A crate, the crates of ours it may use, and heavy crates it alone may use.
const TABLE: &[(&str, &[&str], &[&str])] = &[
    ("domain", &[], &[]),
    ("gguf", &[], &[]),
    ("kernels", &[], &[]),
    ("extract", &["domain"], &["hayro-interpret", "pdf-extract"]),
    ("catalog", &["domain"], &["rusqlite"]),
    ("index", &["domain"], &["lancedb"]),
    ("inference", &["domain", "gguf", "kernels"], &["mistralrs", "candle-core", "tokenizers"]),
    ("models", &["domain", "gguf", "kernels"], &["reqwest"]),
    ("ingest", &["domain", "extract", "catalog"], &["notify"]),
    ("answer", &["domain"], &[]),
    ("app", &["domain", "gguf", "extract", "catalog", "models", "ingest", "answer"], &["rusqlite"]),
    // Its example fills a catalogue.
    ("assembly", &["domain", "extract", "catalog", "index", "inference", "models", "app"], &[]),
    ("eval", &["domain", "app"], &[]),
    ("cli", &["app", "assembly", "eval"], &["clap"]),
    ("desktop", &["app", "assembly"], &["tauri", "tauri-plugin-dialog"]),
    ("tests", &[], &[]),
];

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(lectern_tests::repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_crate_knows_only_what_it_may() {
    let packages = packages();
    assert_eq!(packages.len(), TABLE.len(), "a crate is missing from the table");
    for package in &packages {
        let name = package["name"].as_str().unwrap().trim_start_matches("lectern-").to_owned();
        let (_, may_know, own) = TABLE.iter().find(|(row, ..)| *row == name).unwrap();
        for dependency in dependencies(package) {
            if let Some(ours) = dependency.strip_prefix("lectern-") {
                assert!(may_know.contains(&ours), "{name} must not know {ours}");
                continue;
            }
            let owner = TABLE.iter().find(|(.., heavy)| heavy.contains(&dependency.as_str()));
            if let Some((owner, ..)) = owner {
                assert!(
                    own.contains(&dependency.as_str()),
                    "{dependency} belongs to {owner}, not {name}"
                );
            }
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace_and_one_may_be_unsafe() {
    let manifests = packages();
    for package in manifests {
        let lints = package["manifest_path"].as_str().unwrap();
        let manifest = std::fs::read_to_string(lints).unwrap();
        // Cargo cannot take the workspace's lints and change one.
        let unsafe_code = manifest.contains("unsafe_code = \"allow\"");
        assert_eq!(unsafe_code, package["name"] == "lectern-kernels", "{lints}");
        assert!(
            unsafe_code || manifest.contains("[lints]\nworkspace = true"),
            "{lints} does not take the workspace's lints"
        );
    }
}
