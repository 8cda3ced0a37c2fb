//! What a computer can do to a library: disks that are full, read-only or damaged, folders
//! that vanish, a second process.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lectern_tests::{Library, archive, program, wait_for, word};
use serde_json::{Value, json};

/// A library of these animals, one file each.
fn animals(count: usize) -> (Library, PathBuf) {
    let library = Library::new();
    let files: Vec<(String, String)> = (0..count)
        .map(|n| {
            (format!("{n}.md"), format!("# Animal {n}\n\nThe creature {} lives here.", word(n, 4)))
        })
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = library.folder(&files);
    (library, folder)
}

fn lexical(library: &Library, word: &str) -> Vec<String> {
    library.found(&["search", word, "--mode", "lexical"])
}

fn error(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{text}"))["error"].clone()
}

/// Runs a script in a mount namespace of its own, with `$LECTERN`, `$LIBRARY` and `$FOLDER`.
#[cfg(target_os = "linux")]
fn with_mounts(library: &Library, folder: &Path, script: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]);
    command.env("LECTERN", program("lectern"));
    command.env("LIBRARY", library.path()).env("FOLDER", folder);
    library.within(command, &[] as &[&str]).output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_it_says_so_and_goes_on_when_there_is_room() {
    let (library, folder) = animals(400);
    for n in 0..400 {
        fs::write(folder.join(format!("{n}.txt")), format!("long{n} {}", "words ".repeat(2_000)))
            .unwrap();
    }
    fs::create_dir_all(library.path()).unwrap();
    let output = with_mounts(
        &library,
        &folder,
        r#"
        mount -t tmpfs -o size=2m tmpfs "$LIBRARY" || exit 9
        "$LECTERN" add "$FOLDER" --wait --json; first=$?
        mount -o remount,size=400m "$LIBRARY" || exit 9
        "$LECTERN" add "$FOLDER" --wait --json --quiet || exit 8
        "$LECTERN" search zqadcbx --mode lexical --json || exit 7
        exit $first
        "#,
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(said.contains(r#""code":"library""#), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut lines = printed.lines().rev();
    let found: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert!(found["hits"][0]["document"].as_str().unwrap().ends_with("/321.md"), "{found}");
    let report: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(report["ready"], 800, "{report}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_on_a_read_only_disk_can_be_searched_and_says_why_it_cannot_be_changed() {
    let (library, folder) = animals(3);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let output = with_mounts(
        &library,
        &folder,
        r#"
        mount --bind "$LIBRARY" "$LIBRARY" || exit 9
        mount -o remount,ro,bind "$LIBRARY" || exit 9
        "$LECTERN" search zqaaacx --mode lexical --json || exit 8
        "$LECTERN" add "$FOLDER" --wait --json
        "#,
    );
    let found: Value =
        serde_json::from_str(String::from_utf8_lossy(&output.stdout).lines().next().unwrap())
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(found["hits"][0]["document"].as_str().unwrap().ends_with("/2.md"), "{found}");
    let error = error(&output);
    assert_eq!(error["code"], "library");
    assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_files_of_a_drive_that_is_unmounted_are_away_and_not_forgotten() {
    let (library, folder) = animals(1);
    fs::create_dir(folder.join("drive")).unwrap();
    let output = with_mounts(
        &library,
        &folder,
        r#"
        mount -t tmpfs tmpfs "$FOLDER/drive" || exit 9
        echo "The creature zqjjjjx travels." > "$FOLDER/drive/a.md"
        "$LECTERN" add "$FOLDER" --wait --quiet --json > /dev/null || exit 8
        umount "$FOLDER/drive" || exit 9
        "$LECTERN" sync --quiet > /dev/null || exit 7
        "$LECTERN" search zqjjjjx --mode lexical --json || exit 6
        "$LECTERN" status --files --json
        "#,
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        lines[0]["hits"][0]["document"].as_str().unwrap().ends_with("/drive/a.md"),
        "{printed}"
    );
    let away: Vec<bool> =
        lines[1]["files"].as_array().unwrap().iter().map(|f| f["away"] == true).collect();
    assert_eq!(away, [false, true], "{printed}");
}

#[test]
fn a_folder_that_vanished_stays_searchable_until_it_is_removed() {
    let (library, folder) = animals(2);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    let away = folder.with_file_name("away");
    fs::rename(&folder, &away).unwrap();
    assert!(library.run(&["sync"]).status.success());
    assert_eq!(lexical(&library, "zqaaabx").len(), 1);
    assert_eq!(library.json(&["status"])["folders"][0]["missing"], true);
    fs::rename(&away, &folder).unwrap();
    assert!(library.run(&["sync"]).status.success());
    assert_eq!(library.json(&["status"])["folders"][0]["missing"], false);
    fs::rename(&folder, &away).unwrap();
    assert!(library.run(&["remove", folder.to_str().unwrap()]).status.success());
    assert!(lexical(&library, "zqaaabx").is_empty());
}

#[test]
fn two_processes_that_add_at_once_both_end_well() {
    let (library, folder) = animals(60);
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("b.md"), "The badger digs.").unwrap();
    let running = [folder.as_path(), other.path()]
        .map(|path| library.start(&["add", path.to_str().unwrap(), "--wait", "--quiet"]));
    for adding in running {
        let output = adding.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let status = library.json(&["status"]);
    assert_eq!((&status["documents"], &status["pending"]), (&json!(61), &json!(0)));
    assert_eq!(status["chunks"], status["embedded_chunks"]);
    assert_eq!(lexical(&library, "badger").len(), 1);
    assert_eq!(lexical(&library, "zqaafjx").len(), 1);
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn a_damaged_index_is_made_anew_by_the_one_who_reads_and_left_alone_by_those_who_search() {
    let cut_manifests = |index: &Path| {
        for file in files_below(index) {
            if file.extension().is_some_and(|extension| extension == "manifest") {
                fs::write(file, "").unwrap();
            }
        }
    };
    let overwrite_all = |index: &Path| {
        for file in files_below(index) {
            let length = fs::metadata(&file).unwrap().len() as usize;
            fs::write(file, vec![0xa5; length]).unwrap();
        }
    };
    let faults: [(&str, &dyn Fn(&Path)); 2] =
        [("a power cut's empty files", &cut_manifests), ("a failing disk", &overwrite_all)];
    for (what, damage) in faults {
        let (library, folder) = animals(5);
        library.json(&["add", folder.to_str().unwrap(), "--wait"]);
        let index = library.path().join("index");
        damage(&index);
        let before: Vec<(PathBuf, Vec<u8>)> =
            files_below(&index).into_iter().map(|f| (f.clone(), fs::read(f).unwrap())).collect();
        let searched = library.command(&["search", "zqaaadx", "--json"]).output().unwrap();
        let hint = error(&searched)["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains("lectern sync"), "{what}: {hint}");
        let after: Vec<(PathBuf, Vec<u8>)> =
            files_below(&index).into_iter().map(|f| (f.clone(), fs::read(f).unwrap())).collect();
        assert!(before == after, "{what}: who searches changes nothing");
        assert!(library.run(&["sync"]).status.success(), "{what}");
        assert_eq!(lexical(&library, "zqaaadx").len(), 1, "{what}");
        let status = library.json(&["status"]);
        assert_eq!(status["chunks"], status["embedded_chunks"], "{what}");
    }
}

#[test]
fn a_damaged_catalogue_comes_back_from_its_last_copy() {
    let (library, folder) = animals(4);
    library.json(&["add", folder.to_str().unwrap(), "--wait"]);
    fs::write(folder.join("new.md"), "The creature zqhhhhx is new.").unwrap();
    assert!(library.run(&["sync"]).status.success());
    let catalogue = library.path().join("catalog.sqlite");
    let mut bytes = fs::read(&catalogue).unwrap();
    bytes[..512].fill(0xa5);
    fs::write(&catalogue, bytes).unwrap();
    assert!(library.run(&["sync"]).status.success());
    for word in ["zqaaacx", "zqhhhhx"] {
        assert_eq!(lexical(&library, word).len(), 1, "{word}");
    }
    assert_eq!(library.json(&["status"])["documents"], 5);
}

#[test]
fn nothing_is_left_of_what_was_removed() {
    let (library, folder) = animals(6);
    let packed = [("note.md".to_owned(), "The zqaabbx is kept in an archive.".to_owned())];
    fs::write(folder.join("a.zip"), archive(&packed)).unwrap();
    let folder = folder.to_str().unwrap();
    library.json(&["add", folder, "--wait"]);
    assert_eq!(lexical(&library, "zqaabbx").len(), 1);
    assert!(!library.run(&["doctor", "--forgotten", folder]).status.success());
    assert!(library.run(&["remove", folder]).status.success());
    assert!(library.run(&["sync"]).status.success());
    // The process that `remove` left behind may still be at it.
    wait_for("the last trace to go", || {
        library.run(&["doctor", "--forgotten", folder]).status.success().then_some(())
    });
    let checks = library.json(&["doctor", "--forgotten", folder]);
    assert!(checks.as_array().unwrap().iter().all(|check| check["ok"] == true), "{checks}");
    // Not even a word of it.
    for file in files_below(&library.path()) {
        let bytes = fs::read(&file).unwrap();
        for word in [b"zqaaadx", b"zqaabbx"] {
            assert!(!bytes.windows(word.len()).any(|at| at == word), "{}", file.display());
        }
    }
}

#[test]
fn rules_leave_out_at_once_and_bring_back() {
    let (library, folder) = animals(2);
    let folder_name = folder.to_str().unwrap();
    library.json(&["add", folder_name, "--wait"]);
    let rules = library.json(&["rules", folder_name, "--ignore", "1.md", "--max-size", "5"]);
    assert_eq!((&rules["ignore"], &rules["max_megabytes"]), (&json!(["1.md"]), &json!(5)));
    assert!(lexical(&library, "zqaaabx").is_empty());
    library.json(&["rules", folder_name, "--reset"]);
    assert!(library.run(&["sync"]).status.success());
    assert_eq!(lexical(&library, "zqaaabx").len(), 1);
    let wrong = library.command(&["rules", folder_name, "--types", "exe", "--json"]).output();
    assert_eq!(error(&wrong.unwrap())["code"], "invalid_input");
}
